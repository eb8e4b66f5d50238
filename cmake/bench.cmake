# Each bench/X.c is a program bench_X, made when it is asked for: ninja -C build/release bench_X.
file(GLOB benches CONFIGURE_DEPENDS bench/*.c)
foreach(source ${benches})
  get_filename_component(name ${source} NAME_WE)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(bench_${name} PRIVATE nlsh_internal)
endforeach()
