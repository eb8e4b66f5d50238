# libnlsh-learn (make, tune, evaluate an index), the command, and what is built with them.
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd) # of `nlsh serve`; may be absent
pkg_check_modules(ZSTD IMPORTED_TARGET libzstd) # of vectors in .zst; may be absent
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
# Not find_package(dnnl): Debian's oneDNN asks there for OpenCL, which only a GPU would need.
find_path(DNNL_INCLUDE dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
include(cmake/openmp.cmake) # oneDNN's threads: we hold them to one a worker
find_path(XXHASH_INCLUDE xxhash.h REQUIRED) # the cache's names, and a test
find_path(METIS_INCLUDE metis.h REQUIRED)
find_library(METIS_LIBRARY metis REQUIRED)

sources_of(learn_sources src/vectors src/linalg src/cache src/graph src/partition src/router/train
           src/codes/make src/measure src/make src/evaluate src/tune/study src/tune/sample
           src/tune/run src/shards src/shards/make)
set(zstd_source stream)
set(zstd_libraries PkgConfig::ZSTD)
if(NLSH_ZSTD STREQUAL OFF OR NOT ZSTD_FOUND)
  if(NLSH_ZSTD STREQUAL ON)
    message(FATAL_ERROR "NLSH_ZSTD is on, but there is no libzstd (Debian: libzstd-dev)")
  endif()
  message(STATUS "without libzstd: .zst files are not read")
  set(zstd_source absent)
  set(zstd_libraries)
endif()
list(FILTER learn_sources EXCLUDE REGEX "/zstd_(stream|absent)\\.c$")
list(APPEND learn_sources src/vectors/zstd_${zstd_source}.c)
add_library(nlsh_learn OBJECT ${learn_sources} src/base/job.c src/base/names.c)
target_include_directories(nlsh_learn SYSTEM PRIVATE ${METIS_INCLUDE} ${DNNL_INCLUDE}
                           ${XXHASH_INCLUDE})
set(learn_libraries ${DNNL_LIBRARY} OpenMP::OpenMP_C PkgConfig::LAPACKE PkgConfig::JANSSON
    PkgConfig::SQLITE ZLIB::ZLIB ${zstd_libraries} ${METIS_LIBRARY} m Threads::Threads ${CMAKE_DL_LIBS})
target_link_libraries(nlsh_learn PRIVATE nlsh_flags ${learn_libraries})
add_nlsh_library(nlsh-learn nlsh_learn ${learn_libraries})
target_link_libraries(nlsh-learn PUBLIC nlsh)

# ---- the command, and the methods that it compares with ------------------------------------------
sources_of(baseline_sources baselines)
add_library(nlsh_baselines OBJECT ${baseline_sources})
target_link_libraries(nlsh_baselines PRIVATE nlsh_flags)
target_include_directories(nlsh_baselines PRIVATE ${PROJECT_SOURCE_DIR})
sources_of(cli_sources cli cli/verbs cli/report cli/bench)
add_library(nlsh_cli OBJECT ${cli_sources})
target_include_directories(nlsh_cli PRIVATE cli ${PROJECT_SOURCE_DIR})
set(cli_libraries nlsh-learn PkgConfig::JANSSON PkgConfig::SQLITE m Threads::Threads)
target_link_libraries(nlsh_cli PRIVATE nlsh_flags ${cli_libraries})
# What sqlite/ and serve/ add to a command, where they are built; they tell nlsh_cli.
add_library(nlsh_cli_parts INTERFACE)
if(NLSH_MPI)
  find_package(MPI REQUIRED COMPONENTS C)
elseif(NLSH_TESTS AND NOT CMAKE_CROSSCOMPILING)
  find_package(MPI QUIET COMPONENTS C) # a test asks the command in ranks wherever it can be had
endif()
# add_command(TARGET NAME OPTION): in one process, or with OPTION in those that mpirun starts.
function(add_command target name in_ranks)
  set(ranks_source alone)
  if(in_ranks)
    set(ranks_source mpi)
  endif()
  add_executable(${target} ranks/${ranks_source}.c $<TARGET_OBJECTS:nlsh_cli>
                 $<TARGET_OBJECTS:nlsh_baselines>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE nlsh_flags nlsh_cli_parts ${cli_libraries})
  if(in_ranks)
    target_link_libraries(${target} PRIVATE MPI::MPI_C)
  endif()
endfunction()
add_command(nlsh-cli nlsh ${NLSH_MPI})

# ---- the examples --------------------------------------------------------------------------------
file(GLOB examples CONFIGURE_DEPENDS examples/*.c)
foreach(source ${examples})
  get_filename_component(name ${source} NAME_WE)
  add_executable(example_${name} ${source})
  target_link_libraries(example_${name} PRIVATE $<IF:$<STREQUAL:${name},search>,nlsh,nlsh-learn>)
  target_compile_options(example_${name} PRIVATE -Wall -Wextra)
endforeach()

# ---- tests, fuzzers, benches: they reach the internals through this one --------------------------
add_library(nlsh_internal STATIC EXCLUDE_FROM_ALL $<TARGET_OBJECTS:nlsh_core>
            $<TARGET_OBJECTS:nlsh_learn> $<TARGET_OBJECTS:nlsh_baselines>)
target_include_directories(nlsh_internal PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(nlsh_internal PUBLIC nlsh_flags ${learn_libraries})

if(NLSH_TESTS)
  find_library(CMOCKA_LIBRARY cmocka)
  if(CMOCKA_LIBRARY)
    enable_testing()
    include(cmake/tests.cmake)
  else()
    message(STATUS "no cmocka: the tests are left out")
  endif()
endif()
if(NLSH_FUZZ)
  include(cmake/fuzz.cmake)
endif()
include(cmake/bench.cmake)
