import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"

const main = fileURLToPath(new URL("main.js", import.meta.url))

/** A function, with more lines of its own. */
const source = (...more: ReadonlyArray<string>) => `
import * as Effect from "effect/Effect"
import { defineFunction, read } from "extip"
import { Service } from "extip/kinds"
${more.join("\n")}
export const sign = defineFunction({
  name: "sign-on-change", on: [Service.changed], needs: [read(Service)], handle: () => Effect.void
})`

describe("extip manifest", () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "extip-manifest-"))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** What it prints for these files of `sign-on-change`. */
  const manifest = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, "sign-on-change", name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    return new Promise<{ readonly failed: boolean; readonly out: string }>((done) => {
      execFile(process.execPath, [main, "manifest", "--from", folder], (failure, out, error) =>
        done({ failed: failure !== null, out: out + error })
      )
    })
  }

  it("takes the files of the folder that one imports, types from anywhere, and Node's own modules", async () => {
    const { failed, out } = await manifest({
      "function.ts": source(
        'import { colour } from "./colour.mjs"',
        'import words from "./words.json" with { type: "json" }',
        'import type { Shade } from "../../elsewhere.ts"',
        'import { join } from "node:path"',
        "export const used: Shade = join(colour, words.one)"
      ),
      "colour.mjs": 'export const colour = "red"',
      "words.json": '{"one":"two"}',
      "function.test.ts": "throw new Error()"
    })
    expect([failed, out]).toEqual([false, expect.stringContaining("colour.mjs")])
    expect(out).not.toContain("function.test.ts")
  })

  it("takes a function that is the default export as well for one", async () => {
    const { failed, out } = await manifest({ "function.ts": `${source()}\nexport default sign` })
    expect([failed, out]).toEqual([false, expect.stringContaining("extip-function-sign-on-change")])
  })

  it.each([
    ["a file beside its folder", "../colour.ts"],
    ["a file of a subfolder", "./shades/colour.ts"],
    ["a fixture", "./colour.fixture.ts"],
    ["a package that the image does not have", "paints"]
  ])("refuses a function that imports %s", async (_, from) => {
    const text = 'export const colour = "red"'
    const { failed, out } = await manifest({
      "function.ts": source('import { colour } from "./beside.ts"', "console.error(colour)"),
      "beside.ts": `export { colour } from "${from}"`,
      "../colour.ts": text,
      "shades/colour.ts": text,
      "colour.fixture.ts": text,
      "../node_modules/paints/package.json": '{"name":"paints","type":"module","exports":"./index.js"}',
      "../node_modules/paints/index.js": text
    })
    expect(failed).toBe(true)
    expect(out).toContain(
      `beside.ts imports "${from}", which is not in its folder's ConfigMap: bundle it into that file`
    )
  })
})
