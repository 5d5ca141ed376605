import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { create, defineFunction, defineKind, Metadata, patchStatus, read, readFresh } from "#runtime"
import { defaultSettings } from "../functions/domain/settings.ts"
import { functions } from "../functions/index.ts"
import { beyond, bridgeRules, hostRules, type Rule, rbac } from "./rbac.ts"

const kindOf = (kind: string, group = "example.com") =>
  defineKind({
    group,
    version: "v1",
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced: true,
    schema: Schema.Struct({ metadata: Metadata })
  })
const [Cup, Pot] = [kindOf("Cup"), kindOf("Pot")]
const fn = (name: string, ...needs: ReadonlyArray<ReturnType<typeof read>>) =>
  defineFunction({ name, on: [Cup.changed], needs: [read(Cup), ...needs], handle: () => Effect.void })

const all = functions(defaultSettings)
const said = ({ apiGroups, resources, verbs }: Rule) => `${apiGroups} ${resources}: ${verbs}`

describe("permissions", () => {
  it("of the bridge are to list and watch whatever some function reads, and nothing else", () => {
    expect(bridgeRules([fn("one"), fn("two", readFresh(Pot), create(Pot))]).map(said)).toEqual([
      "example.com cups,pots: list,watch"
    ])
    expect(new Set(bridgeRules(all).flatMap(({ verbs }) => verbs))).toEqual(new Set(["list", "watch"]))
  })

  it("of a function are what it reads fresh and what it writes, where it may look after a loss; and Events", () => {
    expect(hostRules([fn("one")]).map(said)).toEqual([" events: create"])
    expect(hostRules([fn("one", readFresh(Cup)), fn("two", patchStatus(Pot))]).map(said)).toEqual([
      " events: create",
      "example.com cups,pots: get",
      "example.com pots/status: patch"
    ])
  })

  it("of the node runtime are none, and its token is not mounted", () => {
    const objects = rbac(all)
    const accounts = objects.filter(({ kind }) => kind === "ServiceAccount")
    expect(accounts.map(({ metadata }) => metadata.name)).toContain("extip-node")
    expect(accounts.every((account) => account["automountServiceAccountToken"] === false)).toBe(true)
    const bound = objects.flatMap((one) => (one["subjects"] as Array<{ name: string }> | undefined) ?? [])
    expect(bound.map(({ name }) => name)).toEqual(["extip-bridge", "extip-functions"])
  })

  it("name each verb and resource: no wildcard, no Secret, no escalation", () => {
    const words = [...bridgeRules(all), ...hostRules(all)].flatMap((rule) => Object.values(rule).flat())
    for (const word of ["*", "secrets", "impersonate", "escalate", "bind", "deletecollection", "update"]) {
      expect(words).not.toContain(word)
    }
  })

  it("that are there already are not granted twice", () => {
    expect(beyond(bridgeRules([fn("one", read(Pot))]), bridgeRules([fn("two")])).map(said)).toEqual([
      "example.com pots: list,watch"
    ])
    expect(beyond(hostRules(all), hostRules(all))).toEqual([])
  })
})
