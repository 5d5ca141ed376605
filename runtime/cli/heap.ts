/**
 * How to start Node for a process that stays: less room for young objects (8 MB instead of 16, thrice), and a heap that
 * grows by half instead of doubling before it is collected. Measured at 2,000 allocations: a third less memory for a
 * tenth more CPU time of the function host.
 */
export const smallHeap: ReadonlyArray<string> = ["--max-semi-space-size=8", "--heap-growing-percent=50"]
