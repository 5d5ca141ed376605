import { describe, expect, it } from "@effect/vitest"
import { bridgePatch, type OwnFunctions, ownFunctions } from "./ownFunctions.ts"

const like = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "extip-functions" },
  spec: {
    selector: {},
    template: {
      metadata: { annotations: {} },
      spec: { containers: [{ env: [] }] as const }
    }
  }
}

const own = (source: string, name = "own"): OwnFunctions => ({
  folders: [
    {
      functions: [{ name: "paint-on-change", needs: [] }],
      files: new Map([
        ["function.ts", source],
        ["words.json", "{}"]
      ])
    }
  ],
  name,
  image: "extip:1",
  hashed: (text) => Buffer.from(text).toString("hex")
})

const templates = (one: OwnFunctions) => {
  const deployment = ownFunctions(one, like, []).at(-1) as unknown as typeof like
  return [deployment, bridgePatch(one) as typeof like].map(({ spec }) => spec.template)
}

describe("the Pods that hold functions of one's own", () => {
  it("are made anew when a file has changed, and only then", () => {
    expect(templates(own("one"))).toEqual(templates(own("one")))
    const [before, after] = [templates(own("one")), templates(own("other"))]
    for (const [index, template] of before.entries()) expect(after[index]).not.toEqual(template)
    // As `kubectl patch` merges: by its files, and by nothing of a Deployment of another name.
    const annotation = ({ metadata }: (typeof before)[number]) => metadata.annotations
    expect(before.map(annotation)).toEqual(
      before.map(() => ({ "ipcontroller.ext/sources-of-own": expect.stringMatching(/^[0-9a-f]+$/) }))
    )
    expect(Object.keys(annotation(templates(own("one", "more"))[1]!))).toEqual([
      "ipcontroller.ext/sources-of-more"
    ])
  })
})
