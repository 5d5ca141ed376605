/**
 * How to start Node for a process that stays: young objects get 4 MB instead of 16 MB, thrice. What lives long here is
 * small and what is young is a message or an answer; that is 40 MB less of memory for no time that could be measured.
 */
export const smallHeap: ReadonlyArray<string> = ["--max-semi-space-size=4"]
