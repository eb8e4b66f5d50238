# Debian packages, made by `cpack` in the build's folder (or ./dev deb) of what the build made: no second build. Debian's
# places differ from those of `cmake --install`, so each package is an installation of its own, which that one leaves out.
# tests/install/deb.sh looks at what comes out.
set(deb_core libnlsh${nlsh_soversion})
set(deb_learn libnlsh-learn${nlsh_soversion})
set(deb_dev libnlsh-dev)
set(deb_command nlsh)
set(deb_sqlite libsqlite3-mod-nlsh)
set(deb_packages core learn dev command)
if(TARGET nlsh0)
  list(APPEND deb_packages sqlite)
endif()
set(deb_release 1)
set(deb_version ${PROJECT_VERSION}-${deb_release})
set(deb_lib lib/${CMAKE_LIBRARY_ARCHITECTURE})

# deb_install(PACKAGE ARGUMENT...): install() for one package only.
function(deb_install package)
  install(${ARGN} COMPONENT ${package} EXCLUDE_FROM_ALL)
endfunction()

# deb_gzip(PACKAGE FILE PLACE NAME): FILE as NAME.gz, without a date in it.
function(deb_gzip package file place name)
  deb_install(${package} FILES ${file} DESTINATION ${place} RENAME ${name})
  deb_install(${package} CODE "execute_process(COMMAND gzip -9nf
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${place}/${name}\" COMMAND_ERROR_IS_FATAL ANY)")
endfunction()

# deb_without_rpath(PACKAGE FILE): the system's loader knows the folder.
function(deb_without_rpath package file)
  deb_install(${package} CODE
              "file(RPATH_REMOVE FILE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${file}\")")
endfunction()

# ---- libraries and what is compiled with them ----------------------------------------------------
foreach(pair "nlsh;core" "nlsh-learn;learn")
  list(GET pair 0 library)
  list(GET pair 1 package)
  install(TARGETS ${library} EXPORT nlshDebTargets
          LIBRARY DESTINATION ${deb_lib} COMPONENT ${package} NAMELINK_COMPONENT dev EXCLUDE_FROM_ALL)
endforeach()
deb_without_rpath(learn ${deb_lib}/libnlsh-learn.so.${PROJECT_VERSION})
deb_install(dev FILES include/nlsh/nlsh.h include/nlsh/learn.h DESTINATION include/nlsh)
deb_install(dev EXPORT nlshDebTargets NAMESPACE nlsh:: FILE nlshTargets.cmake
            DESTINATION ${deb_lib}/cmake/nlsh)
configure_package_config_file(cmake/nlshConfig.cmake.in deb/nlshConfig.cmake
                              INSTALL_DESTINATION ${deb_lib}/cmake/nlsh INSTALL_PREFIX /usr)
deb_install(dev FILES ${PROJECT_BINARY_DIR}/deb/nlshConfig.cmake
            ${PROJECT_BINARY_DIR}/nlshConfigVersion.cmake DESTINATION ${deb_lib}/cmake/nlsh)
make_pkg_config_files(${deb_lib} deb)
foreach(library ${installed_libraries})
  deb_install(dev FILES ${PROJECT_BINARY_DIR}/deb/${library}.pc DESTINATION ${deb_lib}/pkgconfig)
endforeach()
install(DIRECTORY examples DESTINATION share/doc/${deb_dev} COMPONENT dev EXCLUDE_FROM_ALL
        FILES_MATCHING PATTERN *.c PATTERN *.py)

# ---- the command and the extension ---------------------------------------------------------------
deb_install(command TARGETS nlsh-cli RUNTIME DESTINATION bin)
deb_without_rpath(command bin/nlsh)
deb_gzip(command ${PROJECT_BINARY_DIR}/nlsh.1 share/man/man1 nlsh.1)
deb_install(command FILES ${PROJECT_BINARY_DIR}/nlsh.bash RENAME nlsh
            DESTINATION share/bash-completion/completions)
deb_install(command FILES ${PROJECT_BINARY_DIR}/nlsh.zsh RENAME _nlsh
            DESTINATION share/zsh/vendor-completions)
deb_install(command FILES ${PROJECT_BINARY_DIR}/nlsh.fish DESTINATION share/fish/vendor_completions.d)
deb_install(command FILES README.md DESTINATION share/doc/${deb_command})
install(DIRECTORY docs DESTINATION share/doc/${deb_command} COMPONENT command EXCLUDE_FROM_ALL
        FILES_MATCHING PATTERN *.md PATTERN *.svg)
if(TARGET nlsh0)
  deb_install(sqlite TARGETS nlsh0 LIBRARY DESTINATION ${deb_lib}/nlsh)
  deb_without_rpath(sqlite ${deb_lib}/nlsh/nlsh0.so)
endif()

# ---- what every package has ----------------------------------------------------------------------
# The licence in Debian's form: its text indented, a dot in empty lines.
file(READ LICENSE licence)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)" deb_holders ${licence})
string(REGEX REPLACE "^Copyright \\(c\\) " "" deb_holders ${deb_holders})
string(REGEX REPLACE "^MIT License\n+Copyright[^\n]*\n+" "" licence ${licence})
string(REGEX REPLACE "\n+$" "" licence ${licence})
string(REGEX REPLACE "\n" "\n " licence " ${licence}")
string(REGEX REPLACE "\n \n" "\n .\n" deb_licence ${licence})
configure_file(cmake/deb.copyright.in deb/copyright @ONLY)

# Who makes the packages, as Debian's own tools are told it.
set(deb_name $ENV{DEBFULLNAME})
set(deb_mail $ENV{DEBEMAIL})
if(NOT deb_name OR NOT deb_mail)
  set(deb_name "nlsh authors")
  set(deb_mail nlsh@example.org)
endif()
configure_file(cmake/deb.changelog.in deb/changelog @ONLY)
foreach(package ${deb_packages})
  set(place share/doc/${deb_${package}})
  deb_install(${package} FILES ${PROJECT_BINARY_DIR}/deb/copyright DESTINATION ${place})
  deb_gzip(${package} ${PROJECT_BINARY_DIR}/deb/changelog ${place} changelog.Debian)
  deb_gzip(${package} CHANGELOG.md ${place} changelog)
endforeach()

# ---- what dpkg is told ---------------------------------------------------------------------------
# The libraries know each other's private names (cmake/exports.map.in): of one release or not at all.
set(deb_same "${deb_core} (= ${deb_version})")
set(deb_same_learn "${deb_same}, ${deb_learn} (= ${deb_version})")

# deb_package(PACKAGE SECTION DEPENDS SUMMARY DESCRIPTION): shlibdeps adds to DEPENDS.
macro(deb_package package section depends summary description)
  string(TOUPPER ${package} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${deb_${package}})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}")
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${description}")
endmacro()
set(about "Neural LSH divides a set of vectors into buckets so that near neighbours
share one, and trains a small network to say for a query which buckets
are worth scanning.")
deb_package(core libs "" "nearest-neighbour search with learned buckets - library"
            "${about}\n\nThis library opens, searches and changes an index. It needs the C library only.")
deb_package(learn libs "${deb_same}" "nearest-neighbour search with learned buckets - training"
            "${about}\n\nThis library makes an index from vectors, tunes and measures it.")
deb_package(dev libdevel "${deb_same_learn}" "nearest-neighbour search with learned buckets - headers"
            "${about}\n\nHeaders, examples, and what pkg-config and CMake's find_package look for.")
deb_package(command science "${deb_same_learn}" "nearest-neighbour search with learned buckets - command"
            "${about}\n\nThe command makes an index from a file of vectors, searches and measures it.")
deb_package(sqlite database "" "nearest-neighbour search with learned buckets - SQLite"
            "${about}\n\nThis extension keeps such an index in a virtual table of an SQLite database.")
set(CPACK_DEBIAN_LEARN_PACKAGE_SUGGESTS libhdf5-103-1)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SUGGESTS gnuplot-nox)
set(CPACK_DEBIAN_SQLITE_PACKAGE_RECOMMENDS "${deb_learn} (= ${deb_version})")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)

# A trigger in place of the scripts that cpack would write.
file(WRITE ${PROJECT_BINARY_DIR}/deb/triggers "activate-noawait ldconfig\n")
foreach(upper CORE LEARN)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/deb/triggers)
endforeach()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nlsh)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # else it would stand above each package's own
set(CPACK_DEBIAN_PACKAGE_RELEASE ${deb_release})
set(CPACK_DEBIAN_PACKAGE_SOURCE nlsh)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${deb_name} <${deb_mail}>")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL ${deb_packages})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
