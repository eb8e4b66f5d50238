# Each tests/unit/FOLDER/test_X.c is a program of its own, linked with the internals; each
# tests/cli/*.sh is run with the command's path.
# All of it is made by the target `tests`, so that a build to install makes none.
add_custom_target(tests)

# These run under ThreadSanitizer as well: FOLDER/test_X. The other tests add nothing there but
# oneDNN's and libgomp's own doings.
set(threaded_tests base/test_pool make/test_same_bytes cache/test_cache
    router/test_train search/test_batch search/test_pool graph/test_exact
    graph/test_approximate live/test_threads serve/test_server)
add_custom_target(threads_tests)

# A refused allocation is a status here, not the end; what TSan must not see is in tests/tsan.supp.
set(environment
    "ASAN_OPTIONS=allocator_may_return_null=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=allocator_may_return_null=1 suppressions='${PROJECT_SOURCE_DIR}/tests/tsan.supp'")
if(CMAKE_CROSSCOMPILING_EMULATOR) # a test that runs itself again asks the emulator for it (tests/support/child.h)
  list(GET CMAKE_CROSSCOMPILING_EMULATOR 0 emulator)
  list(APPEND environment "NLSH_EMULATOR=${emulator}" "QEMU_LD_PREFIX=${CMAKE_FIND_ROOT_PATH}")
endif()

file(GLOB unit_tests CONFIGURE_DEPENDS tests/unit/*/test_*.c)
file(GLOB cli_tests CONFIGURE_DEPENDS tests/cli/test_*.sh)
# A sanitizer's build goes without those that measure recalls of many rows or how long a build takes, kill processes of
# writers, ask what Optuna reads, what a browser shows, print help, compare with other libraries (bench/), or build and
# tune by the command: the same code runs in others. Nor does one thread's sanitizer ask what several threads make.
if(NLSH_SANITIZE)
  list(FILTER unit_tests EXCLUDE REGEX "/(search/test_recall|make/test_speed|make/test_unfinished|live/test_killed)\\.c$")
  if(NOT NLSH_SANITIZE MATCHES thread)
    list(FILTER unit_tests EXCLUDE REGEX "/make/test_same_bytes\\.c$")
  endif()
  list(FILTER cli_tests EXCLUDE REGEX "/test_(build|optuna|help|peers|report_page|store|tune)\\.sh$")
endif()
if(NOT NLSH_SQLITE)
  list(FILTER unit_tests EXCLUDE REGEX "/unit/sqlite/")
endif()
if(NLSH_SERVE STREQUAL OFF OR NOT MICROHTTPD_FOUND)
  list(FILTER unit_tests EXCLUDE REGEX "/unit/serve/")
  list(FILTER cli_tests EXCLUDE REGEX "/test_serve\\.sh$")
endif()
if(NOT zstd_libraries)
  list(FILTER unit_tests EXCLUDE REGEX "/test_zstd_stream\\.c$")
endif()
foreach(source ${unit_tests})
  get_filename_component(name ${source} NAME_WE)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  set(target ${folder}_${name})
  add_executable(${target} EXCLUDE_FROM_ALL ${source})
  add_dependencies(tests ${target})
  target_compile_options(${target} PRIVATE -O1) # the compiler's time counts more than theirs
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${CMAKE_CROSSCOMPILING_EMULATOR}>:NLSH_EMULATED>)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_include_directories(${target} SYSTEM PRIVATE ${XXHASH_INCLUDE})
  target_link_libraries(${target} PRIVATE nlsh_internal ${CMOCKA_LIBRARY})
  add_test(NAME unit/${folder}/${name} COMMAND ${target})
  set(labels unit)
  if(${folder}/${name} IN_LIST threaded_tests)
    list(APPEND labels threads)
    add_dependencies(threads_tests ${target})
  endif()
  set_tests_properties(unit/${folder}/${name} PROPERTIES LABELS "${labels}" TIMEOUT 600
                       SKIP_RETURN_CODE 77 ENVIRONMENT "${environment}")
endforeach()

# Files of older versions of the format answer the same whatever the kernels.
foreach(name index_test_golden make_test_recalibrate)
  target_compile_definitions(${name} PRIVATE GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
endforeach()
add_test(NAME unit/index/test_golden_scalar COMMAND index_test_golden)
set_tests_properties(unit/index/test_golden_scalar PROPERTIES LABELS "unit;emulated" TIMEOUT 600
                     ENVIRONMENT "${environment};NLSH_CPU=scalar")

# Under an emulator: what depends on the processor, and is quick there. The kernels, and what files of older versions
# answer, are asked of emulated processors that have no more than a set needs: an instruction of a wider set ends the test.
if(CMAKE_CROSSCOMPILING_EMULATOR)
  add_custom_target(emulated_tests)
  set(emulated baselines/test_brute base/test_file base/test_hash base/test_matrix base/test_memory base/test_output
      base/test_rng base/test_sized base/test_spool cache/test_cache codes/test_encode codes/test_score
      evaluate/test_curve evaluate/test_evaluate evaluate/test_recall graph/test_csr index/test_golden
      index/test_memory_open index/test_metric index/test_open index/test_verify index/test_write linalg/test_gemm
      linalg/test_pca linalg/test_short_memory live/test_coder live/test_damage live/test_threads
      measure/test_calibrate partition/test_check partition/test_kahip partition/test_repair router/test_mlp
      search/test_memory search/test_plan search/test_round search/test_route)
  foreach(source ${unit_tests})
    string(REGEX REPLACE ".*/([^/]*/[^/]*)\\.c$" "\\1" name ${source})
    string(REPLACE / _ target ${name})
    if(NOT name MATCHES "^(kernels|promise|vectors)/" AND NOT name IN_LIST emulated OR name MATCHES "/test_foreign$")
      continue()
    endif()
    add_dependencies(emulated_tests ${target})
    set_property(TEST unit/${name} APPEND PROPERTY LABELS emulated)
    if(NOT name MATCHES "^kernels/test_(codes|kernels|l2sq|matvec|panel|quantise|softmax)$|/test_golden$")
      continue()
    endif()
    foreach(processor cortex-a57 neoverse-n1) # NEON alone; with products of four bytes
      add_test(NAME unit/${name}_${processor} COMMAND ${target})
      set_tests_properties(unit/${name}_${processor} PROPERTIES LABELS "unit;emulated" TIMEOUT 600
                           SKIP_RETURN_CODE 77 ENVIRONMENT "${environment};QEMU_CPU=${processor}")
    endforeach()
  endforeach()
endif()

# What a build without libzstd says, in every build.
target_sources(vectors_test_zstd_absent PRIVATE ${PROJECT_SOURCE_DIR}/src/vectors/zstd_absent.c)

# Libraries that look like libkahip, for partition/test_kahip: how wide their indices are and what
# they say of it.
set(fake_kahip_old FAKE_IDX_BYTES=4)
set(fake_kahip_32 FAKE_IDX_BYTES=4 FAKE_SAYS=4)
set(fake_kahip_64 FAKE_IDX_BYTES=8 FAKE_SAYS=8)
set(fake_kahip_odd FAKE_IDX_BYTES=4 FAKE_SAYS=16)
set(fake_kahip_other FAKE_IDX_BYTES=4 FAKE_NO_KAFFPA)
if(TARGET partition_test_kahip)
  set(fakes ${PROJECT_BINARY_DIR}/fakes)
  foreach(fake fake_kahip_old fake_kahip_32 fake_kahip_64 fake_kahip_odd fake_kahip_other)
    add_library(${fake} MODULE EXCLUDE_FROM_ALL tests/unit/partition/fake_kahip.c)
    target_compile_definitions(${fake} PRIVATE ${${fake}})
    set_target_properties(${fake} PROPERTIES PREFIX "" SUFFIX .so C_VISIBILITY_PRESET default
                          LIBRARY_OUTPUT_DIRECTORY ${fakes})
    add_dependencies(partition_test_kahip ${fake})
  endforeach()
  target_compile_definitions(partition_test_kahip PRIVATE FAKES="${fakes}")
endif()

foreach(script ${cli_tests})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME cli/${name} COMMAND sh ${script} $<TARGET_FILE:nlsh-cli>)
  set_tests_properties(cli/${name} PROPERTIES LABELS cli TIMEOUT 600 SKIP_RETURN_CODE 77
                       ENVIRONMENT "${environment}")
endforeach()
if(MICROHTTPD_FOUND AND NOT NLSH_SERVE STREQUAL OFF) # then it may not be left out
  set_tests_properties(cli/test_serve PROPERTIES ENVIRONMENT "${environment};NLSH_SERVES=1")
endif()
if(NLSH_SANITIZE) # when a process dies matters there, not to a sanitizer
  set_tests_properties(cli/test_kills PROPERTIES ENVIRONMENT "${environment};NLSH_KILLS=24")
  set_tests_properties(cli/test_talk PROPERTIES ENVIRONMENT "${environment};NLSH_EPOCHS=500")
endif()

# The command under mpirun, where Debian's libopenmpi-dev is.
if(NOT NLSH_SANITIZE)
  if(MPI_C_FOUND)
    add_command(nlsh-ranks nlsh-ranks ON)
    set_target_properties(nlsh-ranks PROPERTIES EXCLUDE_FROM_ALL ON)
    add_dependencies(tests nlsh-ranks)
    add_test(NAME ranks/test_mpi COMMAND sh ${PROJECT_SOURCE_DIR}/tests/ranks/test_mpi.sh
             $<TARGET_FILE:nlsh-ranks>)
    set_tests_properties(ranks/test_mpi PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
  else()
    message(STATUS "no MPI: the command in ranks is not tested")
  endif()
endif()

# What concerns the tree and the shared libraries is asked once, not of every sanitizer's build.
if(NOT NLSH_SANITIZE)
  add_test(NAME tree/arrows COMMAND sh ${PROJECT_SOURCE_DIR}/tests/arrows.sh ${PROJECT_SOURCE_DIR})
  add_test(NAME python/package COMMAND sh ${PROJECT_SOURCE_DIR}/python/tests/run.sh
           ${PROJECT_SOURCE_DIR})
  set_tests_properties(python/package PROPERTIES LABELS python TIMEOUT 900 SKIP_RETURN_CODE 77)
  add_test(NAME reference/tpe_optuna COMMAND sh ${PROJECT_SOURCE_DIR}/tests/reference/tpe_optuna.sh
           $<TARGET_FILE:bench_tpe> ${PROJECT_SOURCE_DIR})
  set_tests_properties(reference/tpe_optuna PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
  if(BUILD_SHARED_LIBS)
    add_test(NAME tree/exports COMMAND sh ${PROJECT_SOURCE_DIR}/tests/exports.sh
             ${PROJECT_SOURCE_DIR} $<TARGET_FILE:nlsh> $<TARGET_FILE:nlsh-learn>)
    add_test(NAME install/consumer COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install/run.sh
             ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR} ${CMAKE_INSTALL_LIBDIR})
    set_tests_properties(install/consumer PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
    add_test(NAME install/deb COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install/deb.sh ${CMAKE_CPACK_COMMAND}
             ${PROJECT_BINARY_DIR})
    set_tests_properties(install/deb PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
  endif()
endif()

# Programs of other versions than the library's: each tests/growth/VERSION holds the headers of a version;
# with them, and with them made shorter and longer, tests/growth/use.c is compiled.
if(NOT NLSH_SANITIZE MATCHES thread)
  set(growth ${PROJECT_SOURCE_DIR}/tests/growth)
  file(GLOB kept_versions CONFIGURE_DEPENDS ${growth}/*/nlsh/nlsh.h)
  foreach(header ${kept_versions})
    string(REGEX REPLACE ".*/([^/]*)/nlsh/nlsh\\.h$" "\\1" kept ${header})
    foreach(how as_it_is shorter longer)
      set(target growth_${kept}_${how})
      set(headers ${growth}/${kept})
      set(made)
      if(NOT how STREQUAL as_it_is)
        set(headers ${PROJECT_BINARY_DIR}/growth/${kept}/${how})
        foreach(name nlsh learn)
          add_custom_command(OUTPUT ${headers}/nlsh/${name}.h
                             COMMAND ${CMAKE_COMMAND} -E make_directory ${headers}/nlsh
                             COMMAND sh ${growth}/change.sh ${how} ${growth}/${kept}/nlsh/${name}.h
                                     > ${headers}/nlsh/${name}.h
                             DEPENDS ${growth}/change.sh ${growth}/${kept}/nlsh/${name}.h VERBATIM)
          list(APPEND made ${headers}/nlsh/${name}.h)
        endforeach()
      endif()
      add_executable(${target} EXCLUDE_FROM_ALL ${growth}/use.c ${made})
      add_dependencies(tests ${target})
      target_include_directories(${target} BEFORE PRIVATE ${headers})
      string(TOUPPER ${how} macro)
      target_compile_definitions(${target} PRIVATE ${macro})
      target_compile_options(${target} PRIVATE -Wall -Wextra -fsanitize=address)
      target_link_options(${target} PRIVATE -fsanitize=address)
      target_link_libraries(${target} PRIVATE nlsh-learn)
      add_test(NAME growth/${kept}_${how} COMMAND sh ${growth}/run.sh $<TARGET_FILE:${target}>)
      set_tests_properties(growth/${kept}_${how} PROPERTIES TIMEOUT 120 ENVIRONMENT "${environment}")
    endforeach()
  endforeach()
endif()

# The longest first, so that no processor waits for them at the end. The first run of ctest in a build knows of no
# times; those that take more than ten seconds stand here, the longest above.
set(cost 1000)
foreach(name python/package cli/test_tune unit/make/test_store cli/test_kills cli/test_memory cli/test_earlier
        unit/shards/test_shards unit/make/test_streamed unit/make/test_retrain unit/make/test_changes
        unit/shards/test_built unit/make/test_build unit/make/test_same_bytes unit/search/test_scan
        unit/base/test_refused unit/graph/test_approximate unit/search/test_search cli/test_live cli/test_optuna
        reference/tpe_optuna unit/codes/test_leaves unit/search/test_likeness cli/test_compare
        unit/search/test_filtered unit/index/test_forged unit/search/test_fit unit/search/test_metric cli/test_talk
        cli/test_bench unit/make/test_taught unit/search/test_types unit/search/test_recall unit/partition/test_metis
        unit/make/test_unfinished cli/test_store cli/test_report_page cli/test_build cli/test_serve cli/test_help)
  if(TEST ${name})
    set_tests_properties(${name} PROPERTIES COST ${cost})
  endif()
  math(EXPR cost "${cost} - 1")
endforeach()
