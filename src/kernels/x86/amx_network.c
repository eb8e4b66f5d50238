/*
 * amx_network.c - products on tile registers: bf16 for training (kernels/bf16.h), and layers of
 * bytes, exact in int32.
 */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/x86/amx.h"
#include "kernels/x86/x86.h"

/* The table that this one is made of: what does not fill tiles goes to its kernels. */
static struct nlsh__kernels narrower;

TARGET static void product(const uint16_t *a, size_t a_step, const uint16_t *b, size_t b_step,
                           size_t ni, size_t nj, size_t nk, float *c, size_t ldc)
{
    WRITTEN();
    for (size_t j = 0; j < nj; j += 2)
        for (size_t i = 0; i < ni; i += 2) {
            const uint16_t *left = a + i * a_step, *right = b + j * b_step;
            float *out = c + 16 * i * ldc + 16 * j;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (size_t t = 0; t < nk; t++, left += NLSH__TILE, right += NLSH__TILE) {
                _tile_loadd(4, left, 64);
                _tile_loadd(6, right, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, right + b_step, 64);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, left + a_step, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, out, 4 * ldc);
            _tile_stored(1, out + 16, 4 * ldc);
            _tile_stored(2, out + 16 * ldc, 4 * ldc);
            _tile_stored(3, out + 16 * ldc + 16, 4 * ldc);
        }
}

/* ---- layers of bytes ------------------------------------------------------------------------- */

/*
 * 32 inputs by two groups in four tiles: a layer's groups are right sides as they stand, like those
 * of a panel, and here the left is unsigned.
 */
#define LAYER_PRODUCTS(left, right, other)                                                         \
    do {                                                                                           \
        _tile_loadd(4, left, stride);                                                              \
        _tile_loadd(6, right, 64);                                                                 \
        _tile_dpbusd(0, 4, 6);                                                                     \
        _tile_loadd(7, other, 64);                                                                 \
        _tile_dpbusd(1, 4, 7);                                                                     \
        _tile_loadd(5, (left) + 16 * stride, stride);                                              \
        _tile_dpbusd(2, 5, 6);                                                                     \
        _tile_dpbusd(3, 5, 7);                                                                     \
    } while (0)

/* The products of 32 inputs with groups group and other, which may be the same. rest: the two
 * groups' last chunks, filled up to a tile with zeros, or NULL where they fill one. */
TARGET static void layer_products(const struct nlsh__layer_i8 *layer, size_t group, size_t other,
                                  const uint8_t *x, size_t stride, const int8_t *rest, int32_t *out)
{
    const int8_t *right = layer->values + group * layer->n_chunks * 64;
    const int8_t *second = layer->values + other * layer->n_chunks * 64;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t t = 0; t < layer->n_chunks / CHUNKS; t++, x += 64, right += 1024, second += 1024)
        LAYER_PRODUCTS(x, right, second);
    if (rest != NULL) LAYER_PRODUCTS(x, rest, rest + 1024);
    _tile_stored(0, out, 128);
    _tile_stored(1, out + 16, 128);
    _tile_stored(2, out + 16 * 32, 128);
    _tile_stored(3, out + 16 * 32 + 16, 128);
}

/* A pair of groups for all inputs; the weights' tiles stay near. */
TARGET static void layer_pair(const struct nlsh__layer_i8 *layer, size_t group, size_t other,
                              const uint8_t *x, size_t stride, size_t n, const float *x_scale,
                              int zero, int relu, float *out, size_t out_stride)
{
    _Alignas(64) int32_t sums[Q * 32];
    _Alignas(64) int8_t rest[2][1024];
    size_t left = layer->n_chunks % CHUNKS, whole = layer->n_chunks - left;
    if (left > 0) {
        memset(rest, 0, sizeof rest);
        memcpy(rest[0], layer->values + (group * layer->n_chunks + whole) * 64, left * 64);
        memcpy(rest[1], layer->values + (other * layer->n_chunks + whole) * 64, left * 64);
    }
    WRITTEN();
    for (size_t i = 0; i < n; i += Q) {
        layer_products(layer, group, other, x + i * stride, stride, left > 0 ? rest[0] : NULL,
                       sums);
        WRITTEN();
        for (size_t j = 0; j < Q && i + j < n; j++) {
            float *to = out + (i + j) * out_stride;
            layer_answer(layer, group * NLSH__GROUP, _mm512_load_si512(sums + 32 * j),
                         x_scale[i + j], zero, relu, to + group * NLSH__GROUP);
            if (other == group) continue;
            layer_answer(layer, other * NLSH__GROUP, _mm512_load_si512(sums + 32 * j + 16),
                         x_scale[i + j], zero, relu, to + other * NLSH__GROUP);
        }
    }
}

TARGET static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                             size_t n, const float *x_scale, int zero, int relu, float *out,
                             size_t out_stride)
{
    if (n < 8) { /* a tile's worth of work for less is none gained */
        narrower.matmat_i8(layer, x, stride, n, x_scale, zero, relu, out, out_stride);
        return;
    }
    begin_tiles();
    for (size_t g = 0; g < layer->n_groups; g += 2)
        layer_pair(layer, g, g + 1 < layer->n_groups ? g + 1 : g, x, stride, n, x_scale, zero, relu,
                   out, out_stride);
    end_tiles();
}

void nlsh__amx_network(struct nlsh__kernels *table)
{
    static struct nlsh__bf16 bf16;
    narrower = *table;
    bf16 = *table->bf16;
    bf16.tiles = 1;
    bf16.begin = begin_tiles;
    bf16.end = end_tiles;
    bf16.product = product;
    table->bf16 = &bf16;
    table->matmat_i8 = matmat_i8;
}
#endif
