# What `cmake --install` puts where: headers, libraries, the command with its man page and completions,
# and what find_package(nlsh) and pkg-config need. All of it may be moved afterwards.
set(installed_libraries nlsh)
install(FILES include/nlsh/nlsh.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nlsh)
if(NLSH_LEARN)
  list(APPEND installed_libraries nlsh-learn)
  install(FILES include/nlsh/learn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nlsh)
endif()
install(TARGETS ${installed_libraries} EXPORT nlshTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES LICENSE CHANGELOG.md README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN *.md PATTERN *.svg)

set(nlsh_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/nlsh)
if(BUILD_SHARED_LIBS)
  install(EXPORT nlshTargets NAMESPACE nlsh:: DESTINATION ${nlsh_cmake_dir})
  configure_package_config_file(cmake/nlshConfig.cmake.in nlshConfig.cmake
                                INSTALL_DESTINATION ${nlsh_cmake_dir})
  write_basic_package_version_file(nlshConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/nlshConfig.cmake ${PROJECT_BINARY_DIR}/nlshConfigVersion.cmake
          DESTINATION ${nlsh_cmake_dir})
endif()

# libnlsh-learn lies beside the library that it needs.
if(NLSH_LEARN)
  set_target_properties(nlsh-learn PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()

# make_pkg_config_files(LIBDIR FOLDER): the .pc files for libraries in LIBDIR, in the build's FOLDER. Their paths are from
# the file's own place, so that --prefix and DESTDIR both hold.
set(pc_zstd)
if(zstd_libraries)
  set(pc_zstd " -lzstd")
endif()
function(make_pkg_config_files pc_libdir folder)
  file(RELATIVE_PATH pc_prefix /root/${pc_libdir}/pkgconfig /root)
  string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
  foreach(lib ${installed_libraries})
    configure_file(cmake/${lib}.pc.in ${folder}/${lib}.pc @ONLY)
  endforeach()
endfunction()
make_pkg_config_files(${CMAKE_INSTALL_LIBDIR} .)
foreach(lib ${installed_libraries})
  install(FILES ${PROJECT_BINARY_DIR}/${lib}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

configure_file(cmake/uninstall.cmake.in uninstall.cmake @ONLY)
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -P ${PROJECT_BINARY_DIR}/uninstall.cmake)

if(TARGET nlsh-cli)
  file(RELATIVE_PATH lib_from_bin /root/${CMAKE_INSTALL_BINDIR} /root/${CMAKE_INSTALL_LIBDIR})
  set_target_properties(nlsh-cli PROPERTIES INSTALL_RPATH "$ORIGIN/${lib_from_bin}")
  install(TARGETS nlsh-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

  # The command knows its own options: it writes both. A cross build cannot run it.
  if(NOT CMAKE_CROSSCOMPILING AND NOT NLSH_SANITIZE)
    add_custom_command(OUTPUT nlsh.1 nlsh.bash nlsh.zsh nlsh.fish
                       COMMAND nlsh-cli help --man > nlsh.1
                       COMMAND nlsh-cli help --completion bash > nlsh.bash
                       COMMAND nlsh-cli help --completion zsh > nlsh.zsh
                       COMMAND nlsh-cli help --completion fish > nlsh.fish
                       DEPENDS nlsh-cli VERBATIM)
    add_custom_target(nlsh_pages ALL DEPENDS nlsh.1 nlsh.bash nlsh.zsh nlsh.fish)
    install(FILES ${PROJECT_BINARY_DIR}/nlsh.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${PROJECT_BINARY_DIR}/nlsh.bash RENAME nlsh
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${PROJECT_BINARY_DIR}/nlsh.zsh RENAME _nlsh
            DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${PROJECT_BINARY_DIR}/nlsh.fish
            DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
  endif()
endif()
