import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { stringify } from "yaml"
import { withControlPlane } from "../support/parts.ts"

const infra = fileURLToPath(new URL("../../infra", import.meta.url))

const text = (stream: NodeJS.ReadableStream): Promise<string> =>
  new Promise((resolve) => {
    let all = ""
    stream.on("data", (chunk) => {
      all += chunk
    })
    stream.on("end", () => resolve(all))
  })

withControlPlane("the custom resources", ({ kubeconfig, kubectl }) => {
  /** Runs kubectl and answers with what it prints, errors included. */
  const run = async (args: ReadonlyArray<string>, input = ""): Promise<string> => {
    const child = spawn(kubectl, ["--kubeconfig", kubeconfig, ...args])
    child.stdin.end(input)
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)])
    return out + error
  }

  const manifest = (kind: string, name: string, spec: object): string =>
    stringify({ apiVersion: "ipcontroller.ext/v1", kind, metadata: { name }, spec })
  const applyPool = (spec: object, name = "crds-pool") =>
    run(["apply", "-f", "-"], manifest("IpClaimPool", name, spec))
  const applyClaim = (name: string, spec: object) =>
    run(["apply", "-f", "-"], manifest("IpClaim", name, spec))

  const examples = ["ippool/test-pool", "ippool/crds-pool", "ipc/192-168-7-9", "ipn/crds-node"]
  const claims = ["ipc/192-168-7-10", "ipc/fd00-0000-0000-0000-0000-0000-0000-0010"]
  const cleanUp = async () => {
    await run(["delete", "--ignore-not-found", ...examples, ...claims])
    await run(["delete", "--ignore-not-found", "-n", "default", "service/web"])
  }

  beforeAll(async () => {
    await run(["apply", "-f", `${infra}/crds`])
    await run(["wait", "--for=condition=Established", "--timeout=30s", "-f", `${infra}/crds`])
    await cleanUp()
  })
  afterAll(cleanUp)

  it("take the examples as they are", async () => {
    const said = await run(["apply", "-n", "default", "-f", `${infra}/examples/`])
    expect(said).toContain("ipclaimpool.ipcontroller.ext/test-pool created")
    expect(said).toContain("service/web created")
  })

  describe("take a pool", () => {
    it.each<[string, object]>([
      ["of one network", { cidr: "10.7.0.0/24" }],
      ["of IPv6", { cidr: "fd00:7::/64", ranges: [["fd00:7::10", "fd00:7::1f"]] }],
      ["of high addresses", { cidr: "203.0.113.0/24", ranges: [["203.0.113.200", "203.0.113.200"]] }],
      [
        "with everything",
        {
          cidr: "10.7.0.0/24",
          autoAssign: false,
          priority: -5,
          namespaces: ["shop"],
          namespaceSelector: { matchLabels: { tier: "gold" } },
          serviceSelector: { matchExpressions: [{ key: "public", operator: "Exists" }] },
          nodeSelector: { matchExpressions: [{ key: "zone", operator: "In", values: ["a", "b"] }] },
          avoidBuggyIPs: true,
          link: "eth0"
        }
      ]
    ])("%s", async (_, spec) => {
      expect(await applyPool(spec)).toMatch(/ipclaimpool.ipcontroller.ext\/crds-pool (created|configured)/)
    })
  })

  describe("refuse a pool with", () => {
    it.each<[string, object, string]>([
      ["no cidr", {}, "spec.cidr: Required value"],
      ["a cidr that is none", { cidr: "hello" }, "not a network: hello; write an address, a slash and"],
      ["a cidr without mask", { cidr: "10.7.0.0" }, "not a network: 10.7.0.0; write an address, a slash and"],
      [
        "host bits",
        { cidr: "10.7.0.1/24" },
        "bits are set after the mask of 10.7.0.1/24; write the first address of the network"
      ],
      ["leading zeros", { cidr: "010.7.0.0/24" }, "not a network: 010.7.0.0/24; write"],
      ["an IPv4-mapped cidr", { cidr: "::ffff:10.7.0.0/120" }, "not IPv4-mapped"],
      [
        "an IPv4 range in IPv6",
        { cidr: "fd00:7::/64", ranges: [["10.7.0.1", "10.7.0.2"]] },
        "spec.ranges: Invalid value: an address is of another family (IPv4, IPv6) than the cidr fd00:7::/64; make a pool"
      ],
      [
        "a range outside",
        { cidr: "10.7.0.0/24", ranges: [["10.7.0.9", "10.7.1.2"]] },
        "spec.ranges: Invalid value: an address is outside of 10.7.0.0/24; both ends of a range must lie in the cidr"
      ],
      [
        "a reversed range",
        { cidr: "10.7.0.0/24", ranges: [["10.7.0.10", "10.7.0.9"]] },
        "spec.ranges[0]: Invalid value: reversed; write the lower address first: [10.7.0.9, 10.7.0.10]"
      ],
      [
        "half a range",
        { cidr: "10.7.0.0/24", ranges: [["10.7.0.1", "10.7.0.2"], ["10.7.0.9"]] },
        "spec.ranges[1]: Invalid value: not a pair; write the first and the last address"
      ],
      [
        "a range of three",
        { cidr: "10.7.0.0/24", ranges: [["10.7.0.1", "10.7.0.2", "10.7.0.3"]] },
        "spec.ranges[0]: Too many: 3: must have at most 2 items"
      ],
      [
        "no range in the list",
        { cidr: "10.7.0.0/24", ranges: [] },
        "empty, so that the pool has no address; leave"
      ],
      [
        "leading zeros in a range",
        { cidr: "10.7.0.0/24", ranges: [["10.7.0.01", "10.7.0.2"]] },
        "spec.ranges[0]: Invalid value: not an address; write such as"
      ],
      [
        "an IPv4-mapped address in a range",
        { cidr: "10.7.0.0/24", ranges: [["::ffff:10.7.0.1", "10.7.0.2"]] },
        "not IPv4-mapped"
      ],
      ["a field that there is not", { cidr: "10.7.0.0/24", rangez: [] }, 'unknown field "spec.rangez"'],
      [
        "an empty list of namespaces",
        { cidr: "10.7.0.0/24", namespaces: [] },
        "should have at least 1 items"
      ],
      [
        "a selector without values",
        { cidr: "10.7.0.0/24", nodeSelector: { matchExpressions: [{ key: "zone", operator: "In" }] } },
        "operators In and NotIn need values"
      ]
    ])("%s", async (_, spec, message) => {
      expect(await applyPool(spec)).toContain(message)
    })
  })

  describe("a claim is named by its address", () => {
    it.each([
      ["192-168-7-10", "192.168.7.10/32"],
      ["192-168-7-10", "192.168.7.10/29"],
      ["fd00-0000-0000-0000-0000-0000-0000-0010", "fd00::10/128"]
    ])("%s for %s", async (name, cidr) => {
      expect(await applyClaim(name, { cidr })).toMatch(/ (created|configured)/)
    })

    it.each([
      ["192-168-7-11", "192.168.7.10/32"],
      ["web", "192.168.7.10/32"],
      ["fd00--10", "fd00::10/128"],
      ["fd00-0000-0000-0000-0000-0000-0000-0011", "fd00::10/128"]
    ])("not %s for %s", async (name, cidr) => {
      expect(await applyClaim(name, { cidr })).toContain(
        `metadata.name must be the address of spec.cidr, ${cidr}, with`
      )
    })

    it("and is refused what is no address", async () => {
      expect(await applyClaim("10-7-0-1", { cidr: "010.7.0.1/32" })).toContain(
        "not a network: 010.7.0.1/32; write"
      )
    })
  })

  it("tell the whole story with `kubectl get ippool,ipc,ipn`", async () => {
    const patchStatus = (what: string, status: object) =>
      run(["patch", what, "--subresource=status", "--type=merge", "-p", JSON.stringify({ status })])
    const now = "2026-01-01T00:00:00Z"
    await applyPool({ cidr: "192.168.7.0/24" })
    await patchStatus("ippool/crds-pool", {
      capacity: 254,
      used: 1,
      available: 253,
      allocated: { "192.168.7.9": "192-168-7-9" },
      conditions: [{ type: "Valid", status: "True", reason: "Usable", message: "", lastTransitionTime: now }]
    })
    const service = {
      namespace: "shop",
      name: "web",
      uid: "1",
      origin: "allocated",
      ports: [{ protocol: "TCP", port: 80 }]
    }
    await applyClaim("192-168-7-9", { cidr: "192.168.7.9/32", pool: "crds-pool", services: [service] })
    const mac = "02:00:00:00:00:01"
    const said = (type: string, message: string) => ({
      conditions: [{ type, status: "True", reason: "Said", message, lastTransitionTime: now }]
    })
    await patchStatus("ipc/192-168-7-9", {
      ...{ phase: "Bound", node: "crds-node", link: "eth0", mac, boundAt: now },
      ...said("Bound", `on crds-node (eth0, ${mac})`)
    })
    await run(["apply", "-f", "-"], manifest("IpNode", "crds-node", {}))
    await patchStatus("ipn/crds-node", {
      ...{ ready: true, addresses: 1, link: "eth0", macs: [mac], since: now },
      ...said("Ready", "extip 0.1.0 runs on it")
    })
    /** Times go on while this runs: `-` stands for each. */
    const rows = async (...args: ReadonlyArray<string>) =>
      (await run(["get", ...args]))
        .trim()
        .split("\n")
        .map((line) => line.replaceAll(/\s{2,}/g, " | ").replaceAll(/\b\d+[smhdy]\w*\b/g, "-"))
    expect(await rows("ippool", "crds-pool")).toEqual([
      "NAME | CIDR | USED | AVAILABLE | CAPACITY | VALID | AGE",
      "crds-pool | 192.168.7.0/24 | 1 | 253 | 254 | True | -"
    ])
    expect(await rows("ipc", "--field-selector", "status.node=crds-node,spec.pool=crds-pool")).toEqual([
      "NAME | ADDRESS | POOL | NAMESPACE | SERVICE | NODE | PHASE | AGE",
      "192-168-7-9 | 192.168.7.9/32 | crds-pool | shop | web | crds-node | Bound | -"
    ])
    expect(await rows("ipc", "--field-selector", "status.node=another-node")).toEqual(["No resources found"])
    expect(
      (await rows("ipc", "192-168-7-9", "-o", "wide")).map((row) => row.replace(/^.* \| PHASE/, ""))
    ).toEqual([
      " | AGE | LINK | MAC | BOUND | REASON",
      `192-168-7-9 | 192.168.7.9/32 | crds-pool | shop | web | crds-node | Bound | - | eth0 | ${mac} | - | on crds-node (eth0, ${mac})`
    ])
    expect(await rows("ipn", "crds-node")).toEqual([
      "NAME | READY | ADDRESSES | LINK | SINCE | AGE",
      "crds-node | true | 1 | eth0 | - | -"
    ])
    expect((await rows("ipn", "crds-node", "-o", "wide"))[1]).toContain("extip 0.1.0 runs on it")
    const everything = await run(["get", "extip", "-o", "name"])
    expect(everything).toContain("ipclaimpool.ipcontroller.ext/crds-pool")
    expect(everything).toContain("ipnode.ipcontroller.ext/crds-node")
  })

  it("explain themselves", async () => {
    const explain = async (what: string) => (await run(["explain", what])).replace(/\s+/g, " ")
    expect(await explain("ippool.spec.ranges")).toContain("Left out: every usable address.")
    expect(await explain("ipc.spec.services.origin")).toContain("its author wrote it into spec.externalIPs")
    expect(await explain("ipn")).toContain("A node that external addresses can be bound to")
  })
})
