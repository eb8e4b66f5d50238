# Each fuzz/fuzz_X.c is a libFuzzer program (clang); `./dev lint` runs each for a minute from
# fuzz/seeds/X, where that is.
if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "the fuzzers need clang: cmake --preset fuzz")
endif()
# clang takes minutes over UBSan's checks of the SIMD kernels' inlined loops; ASan watches them here, and UBSan
# in the preset asan, whose gcc is quick.
set(simd ${core_sources})
list(FILTER simd INCLUDE REGEX "/kernels/x86/")
set_source_files_properties(${simd} PROPERTIES COMPILE_OPTIONS -fno-sanitize=undefined)
add_custom_target(fuzzers)
file(GLOB fuzzers CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(part nlsh_core nlsh_learn)
  target_compile_options(${part} PRIVATE -fsanitize=fuzzer-no-link)
endforeach()
foreach(source ${fuzzers})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  add_dependencies(fuzzers ${name})
  target_link_libraries(${name} PRIVATE nlsh_internal)
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()
