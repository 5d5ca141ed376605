import * as Schema from "effect/Schema"
import { stringify } from "yaml"
import { resourceName } from "#runtime"
import { type CustomResource, customResources } from "../functions/domain/crd/definitions.ts"

type Json = { readonly [keyword: string]: unknown }

/** Keywords that the Schemas carry for the API server; decoding does not look at them. */
const isKeyword = (key: string): boolean =>
  key.startsWith("x-kubernetes-") || /^(format|(max|min)(Length|Items|Properties|imum))$/.test(key)

const isSafeIntegerLimit = (key: string, value: unknown): boolean =>
  (key === "minimum" || key === "maximum") && Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER

/** A structural schema: nothing but what the API server takes, and nothing that it prunes by itself. */
const structural = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(structural)
  if (node === null || typeof node !== "object") return node
  // An annotated Int comes as allOf with one member.
  const { allOf = [], ...own } = node as { readonly allOf?: ReadonlyArray<object> }
  return Object.fromEntries(
    Object.entries(Object.assign({}, own, ...allOf))
      .filter(
        ([key, value]) =>
          !isSafeIntegerLimit(key, value) && !(key === "additionalProperties" && value === true)
      )
      .map(([key, value]) => [key, structural(value)])
  )
}

const schemaOf = ({ kind, description, object }: CustomResource): Json => {
  const { schema, definitions } = Schema.toJsonSchemaDocument(kind.schema, {
    includeAnnotationKey: isKeyword
  })
  if (Object.keys(definitions).length > 0) throw new Error(`${kind.kind}: a CRD cannot have $ref`)
  const { metadata: _, ...properties } = structural(schema["properties"]) as Json
  const required = (schema["required"] as ReadonlyArray<string>).filter((field) => field !== "metadata")
  return {
    description,
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      ...properties
    },
    ...(required.length === 0 ? {} : { required }),
    ...object
  }
}

const definitionOf = (resource: CustomResource): Json => {
  const { kind, singular, shortNames, columns, selectable } = resource
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: resourceName(kind) },
    spec: {
      group: kind.group,
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular,
        shortNames,
        categories: ["extip"]
      },
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          ...(selectable.length === 0
            ? {}
            : { selectableFields: selectable.map((jsonPath) => ({ jsonPath })) }),
          schema: { openAPIV3Schema: schemaOf(resource) }
        }
      ]
    }
  }
}

const header = "# Written by `npm run generate` from functions/domain: change it there.\n"

/** File name → YAML of every CRD. */
export const crdFiles = (): ReadonlyMap<string, string> =>
  new Map(
    customResources.map((resource) => [
      `${resourceName(resource.kind)}.yaml`,
      header + stringify(definitionOf(resource), { lineWidth: 110, aliasDuplicateObjects: false })
    ])
  )
