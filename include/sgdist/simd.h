/* include/sgdist/simd.h - loops compiled for several instruction sets, chosen when the program
 * starts.
 *
 * For plain loops over arrays that the compiler vectorises. The bits are the same on every target:
 * integers, and single IEEE operations in a stated order, never contracted (-ffp-contract=off). */
#ifndef SGDIST_SIMD_H
#define SGDIST_SIMD_H

/* A test may define it empty before including a source file, to compare the base version. The
 * address sanitizer cannot run the code that chooses. */
#ifndef SG_CLONES
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define SG_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SG_CLONES
#endif
#endif

#endif
