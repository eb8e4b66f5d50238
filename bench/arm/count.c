/*
 * count.c - a plugin for qemu-user that counts the instructions of the program that it runs.
 *
 *   gcc -shared -fPIC -o count.so bench/arm/count.c
 *   qemu-aarch64 -plugin ./count.so -L build/sysroot build/arm/bench_kernels --count     ./dev arm counts
 *
 * A program asks by a system call that no system has, COUNT_CALL(fd): 8 bytes come out of fd, how many
 * instructions it has run so far. Blocks of instructions are counted as they begin, and a system call
 * ends its block, so that the difference of two answers is exact.
 *
 * QEMU's plugin interface, version 1 (QEMU 7.2; docs/devel/tcg-plugins.rst). Debian ships no header of it:
 * what is used of it is declared here.
 */
#include "count.h"

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

struct qemu_plugin_tb;
enum { ADD_U64 = 0 }; /* QEMU_PLUGIN_INLINE_ADD_U64 */

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *at,
                                              uint64_t value);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id,
                                          void (*callback)(uint64_t, unsigned, int64_t, uint64_t,
                                                           uint64_t, uint64_t, uint64_t, uint64_t,
                                                           uint64_t, uint64_t, uint64_t));

extern int qemu_plugin_version;
int qemu_plugin_version = 1;
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

static uint64_t n_instructions;

static void on_block(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &n_instructions,
                                             qemu_plugin_tb_n_insns(block));
}

static void on_call(uint64_t id, unsigned cpu, int64_t number, uint64_t fd, uint64_t a2,
                    uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != COUNT_CALL) return;
    uint64_t n = n_instructions;
    if (write((int)fd, &n, sizeof n) != sizeof n) _exit(74);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
