import { describe, expect, it } from "@effect/vitest"
import type { KindId } from "../Kind.ts"
import {
  eventSubject,
  objectSubjects,
  objectToken,
  parseSubject,
  parseWake,
  resourceSubjects,
  tickSubject,
  token,
  untoken,
  wakeSubject
} from "./names.ts"

const Service: KindId = { group: "", version: "v1", kind: "Service", plural: "services", namespaced: true }
const IpClaim: KindId = {
  group: "ipcontroller.ext",
  version: "v1",
  kind: "IpClaim",
  plural: "ipclaims",
  namespaced: false
}

describe("a token of a subject", () => {
  it.each([
    ["web", "web"],
    ["node-1.example.com", "node-1_example_com"],
    ["system:node", "system=3Anode"],
    ["a_b", "a=5Fb"],
    ["a=b", "a=3Db"],
    ["a b*>", "a=20b=2A=3E"],
    ["größe", "gr=C3=B6=C3=9Fe"],
    ["", ""]
  ])("of %j is %s, and is read back", (text, want) => {
    expect(token(text)).toBe(want)
    expect(untoken(want)).toBe(text)
  })

  it("is different for different names, and may stand in every subject and in every key of a bucket", () => {
    const all = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code))
    const pairs = all.flatMap((one) => [one, `${one}.`, `.${one}`, `_${one}`, `=${one}`])
    const tokens = new Map(pairs.map((text) => [token(text), text]))
    expect(tokens.size).toBe(new Set(pairs).size)
    for (const [made, text] of tokens) {
      expect(untoken(made)).toBe(text)
      expect(made).toMatch(/^[-=_A-Za-z0-9]*$/)
    }
  })
})

describe("the name of an object on NATS", () => {
  it("has its group, resource, namespace and name", () => {
    expect(objectToken(Service, { namespace: "default", name: "web" })).toBe("core.services.default.web")
  })

  it("has _ for the namespace of a cluster-scoped object", () => {
    const ref = { namespace: "", name: "192-168-0-249" }
    expect(objectToken(IpClaim, ref)).toBe("ipcontroller_ext.ipclaims._.192-168-0-249")
  })

  it.each([
    [Service, { namespace: "default", name: "web" }],
    [Service, { namespace: "_", name: "odd" }],
    [IpClaim, { namespace: "", name: "with.dots:and_more" }]
  ])("is read back from the subject of an event", (kind, ref) => {
    const { plural } = kind
    const resource = kind === Service ? "core.services" : `ipcontroller_ext.${plural}`
    expect(parseSubject(eventSubject(kind, ref, "modified"))).toEqual({ resource, ref, verb: "modified" })
    expect(parseWake(wakeSubject("assign-on-claim", kind, ref))).toMatchObject({ resource, ref })
  })

  it("is none in a tick", () => {
    expect(parseSubject(tickSubject("sweep"))).toBeUndefined()
    expect(parseWake(eventSubject(Service, { namespace: "default", name: "web" }, "added"))).toBeUndefined()
  })
})

describe("a filter", () => {
  it("takes every event of one object, or of a resource, or of one verb of it", () => {
    expect(objectSubjects(Service, { namespace: "a", name: "b" })).toBe("kube.core.services.a.b.*")
    expect(resourceSubjects(Service)).toBe("kube.core.services.>")
    expect(resourceSubjects(Service, "deleted")).toBe("kube.core.services.*.*.deleted")
  })
})
