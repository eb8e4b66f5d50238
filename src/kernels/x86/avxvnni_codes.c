/* avxvnni_codes.c - scores of codes on vpdpbusd of 256 bits. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86/avxvnni.h"

#include "kernels/x86/avx2_scan.h"
#include "kernels/x86/x86.h"

/* High halves are left where they stand, 16 times too large, and brought down with the sum. */
INLINE void scan_halves(const uint8_t *const *values, const uint8_t *const *ahead, size_t n_chunks,
                        const int8_t *weights, __m256i *sums, const int ng)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i a[4], b[4];
    UNROLL
    for (int i = 0; i < 2 * ng; i++) a[i] = b[i] = _mm256_setzero_si256();
    for (size_t c = 0; c < n_chunks; c++) {
        __m256i y = repeat4(weights + 8 * c), z = repeat4(weights + 8 * c + 4);
        UNROLL
        for (int i = 0; i < 2 * ng; i++) {
            if (ahead != NULL && i % 2 == 0) nlsh__prefetch(ahead[i / 2] + c * 64);
            __m256i v = load_bytes(values[i / 2] + 64 * c + i % 2 * 32);
            a[i] = dot4(a[i], _mm256_and_si256(v, low), y);
            b[i] = dot4(b[i], _mm256_andnot_si256(low, v), z);
        }
    }
    UNROLL
    for (int i = 0; i < 2 * ng; i++) sums[i] = _mm256_add_epi32(a[i], _mm256_srai_epi32(b[i], 4));
}

void nlsh__avxvnni_codes(struct nlsh__kernels *table)
{
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
}
#endif
