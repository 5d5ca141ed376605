import { cpus, totalmem } from "node:os"

/** One line of the table. */
export interface Figure {
  readonly what: string
  readonly measured: string
  /** What it has to be, as the table says it. */
  readonly atLeast: string
  readonly holds: boolean
  /** Raw values, for the JSON. */
  readonly values: Readonly<Record<string, number>>
}

export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

export const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

/** The machine and the day, without which a figure means nothing. */
export const circumstances = (kubernetes: string): string =>
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 1024 ** 3)} GiB, kube-apiserver ${kubernetes}, Node ${process.version}`

export const printTable = (figures: ReadonlyArray<Figure>): void => {
  console.log("\n| what | measured | at least | |\n| --- | --- | --- | --- |")
  for (const { what, measured, atLeast, holds } of figures) {
    console.log(`| ${what} | ${measured} | ${atLeast} | ${holds ? "✓" : "missed"} |`)
  }
}
