# Each bench/X.c is a program bench_X, made when it is asked for: ninja -C build/release bench_X.
file(GLOB benches CONFIGURE_DEPENDS bench/*.c)
foreach(source ${benches})
  get_filename_component(name ${source} NAME_WE)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(bench_${name} PRIVATE nlsh_internal)
  target_include_directories(bench_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
endforeach()
file(GLOB promise_sources CONFIGURE_DEPENDS bench/promise/*.c)
add_executable(bench_promise EXCLUDE_FROM_ALL ${promise_sources})
target_link_libraries(bench_promise PRIVATE nlsh_internal)
add_executable(bench_filters EXCLUDE_FROM_ALL bench/filters/filters.c bench/promise/made.c)
target_include_directories(bench_filters PRIVATE bench/promise)
target_link_libraries(bench_filters PRIVATE nlsh_internal)
if(TARGET tests) # the test reference/tpe_optuna runs it
  add_dependencies(tests bench_tpe)
endif()

# bench_peers measures ours beside other libraries (bench/peers/compare.c). Each of them is a shared
# object of its own, peer_X.so, made where its Debian package is installed and only when
# NLSH_BENCH_PEERS asks for C++; nothing of the project itself needs either.
file(GLOB compare_sources CONFIGURE_DEPENDS bench/peers/*.c)
add_executable(bench_peers EXCLUDE_FROM_ALL ${compare_sources})
target_link_libraries(bench_peers PRIVATE nlsh_internal ${CMAKE_DL_LIBS})
if(TARGET tests)
  add_dependencies(tests bench_peers)
endif()
option(NLSH_BENCH_PEERS "build the libraries that bench compares with (C++)" OFF)
if(NLSH_BENCH_PEERS)
  enable_language(CXX)
  set_target_properties(bench_peers bench_machine bench_epoch PROPERTIES EXCLUDE_FROM_ALL OFF)
  function(add_peer name)
    add_library(peer_${name} MODULE bench/peers/${name}.cpp)
    set_target_properties(peer_${name} PROPERTIES PREFIX "" CXX_STANDARD 17 CXX_EXTENSIONS OFF
                          CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    target_compile_options(peer_${name} PRIVATE -O3 -fno-gnu-unique -Wall)
    target_link_libraries(peer_${name} PRIVATE ${ARGN})
  endfunction()
  find_path(HNSWLIB_INCLUDE hnswlib/hnswlib.h)
  if(HNSWLIB_INCLUDE)
    add_peer(hnswlib)
    target_compile_options(peer_hnswlib PRIVATE -march=native) # its kernels are chosen at compile time
  endif()
  # The archive, with its names hidden: another faiss may be measured in the same process.
  find_library(FAISS_LIBRARY libfaiss.a)
  find_library(BLAS_LIBRARY NAMES openblas blas libblas.so.3)
  find_library(LAPACK_LIBRARY NAMES openblas lapack liblapack.so.3)
  if(FAISS_LIBRARY AND BLAS_LIBRARY AND LAPACK_LIBRARY)
    find_package(OpenMP REQUIRED COMPONENTS CXX)
    add_peer(faiss ${FAISS_LIBRARY} OpenMP::OpenMP_CXX ${LAPACK_LIBRARY} ${BLAS_LIBRARY}
             -Wl,--exclude-libs,ALL)
  endif()
endif()
