# The toolchain to build for ARM's aarch64 on another Debian machine: the preset `arm`. `./dev arm` makes what it needs
# in build/sysroot: Debian's arm64 packages, unpacked (tests/arm/sysroot.sh). Programs run under qemu-aarch64.
get_filename_component(sysroot ${CMAKE_CURRENT_LIST_DIR}/../build/sysroot ABSOLUTE)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${sysroot})

set(CMAKE_FIND_ROOT_PATH ${sysroot})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})
set(ENV{PKG_CONFIG_LIBDIR} ${sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig:${sysroot}/usr/share/pkgconfig)
# Programs look there of themselves, under qemu; it is not for their run paths.
set(CMAKE_PLATFORM_IMPLICIT_LINK_DIRECTORIES ${sysroot}/usr/lib/aarch64-linux-gnu)
# What the libraries that we link need in turn.
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT
      -Wl,-rpath-link,${sysroot}/usr/lib/aarch64-linux-gnu:${sysroot}/lib/aarch64-linux-gnu)
endforeach()
