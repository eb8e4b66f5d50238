# oneDNN (Debian's) runs on GCC's OpenMP, and we call omp_set_num_threads() of that same library.
# clang finds no OpenMP of its own where libomp-dev is missing, and a second runtime would not be
# the one that oneDNN listens to: it gets GCC's library and header too.
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  find_package(OpenMP REQUIRED COMPONENTS C)
else()
  foreach(file libgomp.so include/omp.h)
    execute_process(COMMAND gcc -print-file-name=${file} OUTPUT_VARIABLE found
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT EXISTS "${found}")
      message(FATAL_ERROR "GCC's ${file} is needed, and gcc does not know where it is")
    endif()
    if(file STREQUAL libgomp.so)
      set(gomp ${found})
    else() # GCC's include directory holds intrinsics that clang cannot read: only this one file
      configure_file("${found}" ${PROJECT_BINARY_DIR}/openmp/omp.h COPYONLY)
    endif()
  endforeach()
  add_library(OpenMP::OpenMP_C INTERFACE IMPORTED)
  target_link_libraries(OpenMP::OpenMP_C INTERFACE ${gomp})
  target_include_directories(OpenMP::OpenMP_C SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/openmp)
endif()
