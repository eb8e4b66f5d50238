# oneDNN (Debian's) runs on GCC's OpenMP, and we call omp_set_num_threads() of that same library.
# clang finds no OpenMP of its own where libomp-dev is missing, and a second runtime would not be
# the one that oneDNN listens to: it is given GCC's library, and a header with that one function
# (GCC's own header is not valid for clang 14).
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  find_package(OpenMP REQUIRED COMPONENTS C)
else()
  execute_process(COMMAND gcc -print-file-name=libgomp.so OUTPUT_VARIABLE gomp
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT EXISTS "${gomp}")
    message(FATAL_ERROR "GCC's libgomp.so is needed, and gcc does not know where it is")
  endif()
  file(WRITE ${PROJECT_BINARY_DIR}/openmp/omp.h "void omp_set_num_threads(int n_threads);\n")
  add_library(OpenMP::OpenMP_C INTERFACE IMPORTED)
  target_link_libraries(OpenMP::OpenMP_C INTERFACE ${gomp})
  target_include_directories(OpenMP::OpenMP_C SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/openmp)
endif()
