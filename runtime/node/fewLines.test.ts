import { expect, it } from "@effect/vitest"
import { FewLines } from "./fewLines.ts"

const lines = (count: number) => {
  const said: Array<string> = []
  const few = new FewLines<string>(
    (one) => said.push(one),
    (more) => said.push(`and ${more} more`)
  )
  for (let line = 1; line <= count; line++) few.add(`line ${line}`)
  few.flush()
  return said
}

it("tells each of a few things", () => expect(lines(3)).toEqual(["line 1", "line 2", "line 3"]))

it("tells the first ten of thousands, and how many more there are", () => {
  const said = lines(5_000)
  expect(said).toHaveLength(11)
  expect(said.at(-1)).toBe("and 4990 more")
})
