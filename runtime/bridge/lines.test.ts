import { describe, expect, it } from "@effect/vitest"
import { lines } from "./lines.ts"

const text = '{"a":1}\n{"größe":"✓ 日本"}\n\n{"b":2}\nhalf of an ev'
const whole = ['{"a":1}', '{"größe":"✓ 日本"}', '{"b":2}']

const split = async (bytes: Buffer, size: number): Promise<ReadonlyArray<string>> => {
  const chunks = async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const found: Array<string> = []
  for await (const line of lines(chunks())) found.push(line)
  return found
}

describe("lines of a watch", () => {
  it("are the same however the bytes are cut, within a letter as well, and without the half one at the end", async () => {
    const bytes = Buffer.from(text)
    for (let size = 1; size <= bytes.length; size++) expect(await split(bytes, size)).toEqual(whole)
  })

  it("may be longer than any chunk", async () => {
    const long = "x".repeat(3_000_000)
    expect(await split(Buffer.from(`${long}\n${long}\n`), 65_536)).toEqual([long, long])
  })

  it("are none where there is nothing", async () => {
    expect(await split(Buffer.from(""), 1)).toEqual([])
    expect(await split(Buffer.from("\n\n"), 1)).toEqual([])
  })
})
