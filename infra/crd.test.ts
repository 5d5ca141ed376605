import { readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { parse } from "yaml"
import { crdFiles } from "./crd.ts"

interface Node {
  readonly type: string
  readonly description?: string
  readonly maxLength?: number
  readonly format?: string
  readonly enum?: ReadonlyArray<string>
  readonly properties?: { readonly [name: string]: Node }
  readonly items?: Node
  readonly additionalProperties?: Node
}

const schemas = new Map<string, Node>(
  [...crdFiles()].map(([file, text]) => {
    const { properties } = parse(text).spec.versions[0].schema.openAPIV3Schema
    return [
      file,
      { type: "object", description: "", properties: { spec: properties.spec, status: properties.status } }
    ]
  })
)

/** Every field with its path, and what its items or values are. */
const fieldsOf = (node: Node, path: string): ReadonlyArray<readonly [path: string, node: Node]> => [
  [path, node],
  ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => fieldsOf(field, `${path}.${name}`)),
  ...(node.items ? fieldsOf(node.items, `${path}[]`) : []),
  ...(node.additionalProperties ? fieldsOf(node.additionalProperties, `${path}{}`) : [])
]

describe.each([...schemas])("%s", (file, schema) => {
  it("is what `npm run generate` writes", () => {
    expect(readFileSync(new URL(`crds/${file}`, import.meta.url), "utf8")).toBe(crdFiles().get(file))
  })

  it("tells `kubectl explain` what each field is", () => {
    const silent = fieldsOf(schema, "").filter(([, { description }]) => description === undefined)
    expect(silent.map(([path]) => path)).toEqual([])
  })

  it("limits the length of each text, as the cost of rules is estimated by it", () => {
    const endless = fieldsOf(schema, "").filter(
      ([, node]) => node.type === "string" && node.maxLength === undefined && node.enum === undefined
    )
    expect(endless.map(([path]) => path)).toEqual([])
  })
})
