import { join } from "node:path"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { IpClaim, IpClaimPool, IpNode, Service } from "../../functions/domain/kinds.ts"
import { defaultSettings } from "../../functions/domain/settings.ts"
import { functions } from "../../functions/index.ts"
import { kindsOf } from "../host/kinds.ts"
import type { KindId, Ref } from "../Kind.ts"
import type { KubeApi, RawObject } from "../kube/api.ts"
import { Nats, natsCall } from "../nats/connection.ts"
import { collect } from "../trace/collect.ts"
import type { SpanRecord } from "../trace/span.ts"
import { draw, tell } from "../trace/story.ts"
import type { Kubectl } from "./kubectl.ts"
import type { Answering, Machines } from "./machines.ts"

/** A step of the story was not seen in time. */
export class NotObserved extends Data.TaggedError("NotObserved")<{
  readonly what: string
  readonly last: string
}> {
  override get message() {
    return `waited 20 s for ${this.what}; last seen: ${this.last}`
  }
}

const deadlineMillis = 20_000

/** Looks at the API server until it shows what we wait for; answers with how long that took. */
const observe = (
  api: KubeApi,
  kind: KindId,
  ref: Ref,
  what: string,
  holds: (object: any) => boolean
): Effect.Effect<{ readonly object: RawObject; readonly millis: number }, NotObserved> =>
  Effect.gen(function* () {
    const start = performance.now()
    let last = "nothing"
    while (performance.now() - start < deadlineMillis) {
      const object = yield* Effect.option(api.get(kind, ref))
      if (object._tag === "Some") {
        if (holds(object.value))
          return { object: object.value, millis: Math.round(performance.now() - start) }
        last = JSON.stringify({ spec: object.value["spec"], status: object.value["status"] })
      }
      yield* Effect.sleep("5 millis")
    }
    return yield* new NotObserved({ what, last })
  })

/** The waterfall of a Service, as `extip trace` prints it, as soon as it holds what we wait for. */
const traceOf = (ref: Ref, isWhole: (spans: ReadonlyArray<SpanRecord>) => boolean) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const kinds = kindsOf(functions(defaultSettings))
    const start = performance.now()
    for (;;) {
      const found = yield* natsCall("read the traces", () =>
        collect(nats.js, nats.jsm, kinds, { kind: Service, ref })
      )
      if (isWhole(found.spans)) return draw(tell(found.events, found.spans))
      if (performance.now() - start > deadlineMillis) {
        const last = found.spans.map((span) => span.function).join(", ")
        return yield* new NotObserved({ what: "the whole trace", last })
      }
      yield* Effect.sleep("50 millis")
    }
  })

export interface TaleOptions {
  readonly api: KubeApi
  readonly kubectl: Kubectl
  readonly natsUrl: string
  readonly examples: string
  /** The nodes of this machine; `undefined`: the story ends before the wire. */
  readonly lan: Machines | undefined
}

/** The part of the story that happens on the network: bound, answered for, and answered for by another node. */
const onTheWire = (api: KubeApi, lan: Machines, address: string) =>
  Effect.gen(function* () {
    const step = (line: string) => Console.log(`  ✓ ${line}`)
    const claim = { namespace: "", name: address.replaceAll(".", "-") }
    const answers: Array<Answering> = []
    yield* lan.ask(address, (now) => answers.push(now))
    const isBoundTo = (holds: (node: string) => boolean) =>
      observe(
        api,
        IpClaim,
        claim,
        `${address} to be bound to a node`,
        ({ status }) => status?.phase === "Bound" && holds(status.node)
      )
    const bound = yield* isBoundTo(() => true)
    const { node, link, mac } = bound.object["status"] as { node: string; link: string; mac: string }
    yield* step(`${address} is on ${link} of ${node} (seen after ${bound.millis} ms)`)
    const first = yield* answered(answers, (now) => now.who === node)
    yield* step(
      `who has ${address}? An ARP request on the LAN is answered: ${first.mac}, that is ${first.who}`
    )
    if (first.mac !== mac) {
      return yield* new NotObserved({ what: `the answer of ${mac}`, last: first.mac })
    }
    yield* lan.powerCut(node)
    const second = yield* answered(answers, (now) => now.who !== node)
    yield* step(
      `${node} is off, its power cut → ${second.who} answers (${second.mac}) after ${second.silentMillis} ms`
    )
    const recorded = yield* isBoundTo((name) => name === second.who)
    yield* step(`kubectl get ipclaim ${claim.name} says so as well (seen after ${recorded.millis} ms)`)
  })

const answered = (answers: ReadonlyArray<Answering>, holds: (now: Answering) => boolean) =>
  Effect.gen(function* () {
    const start = performance.now()
    for (;;) {
      const found = answers.find(holds)
      if (found !== undefined) return found
      if (performance.now() - start > deadlineMillis) {
        return yield* new NotObserved({ what: "an answer on the LAN", last: JSON.stringify(answers) })
      }
      yield* Effect.sleep("10 millis")
    }
  })

/** Tells the story of one Service, each step as it was observed on the API server. */
export const tellStory = ({ api, kubectl, natsUrl, examples, lan }: TaleOptions) =>
  Effect.gen(function* () {
    const step = (line: string) => Console.log(`  ✓ ${line}`)
    const pool = { namespace: "", name: "test-pool" }
    const web = { namespace: "default", name: "web" }
    // A kubeconfig of one's own may be set to another one.
    const inDefault = ["-n", web.namespace]
    yield* Console.log("\nThe story of one Service")

    yield* kubectl("apply", "-f", join(examples, "pool.yaml"))
    const valid = yield* observe(
      api,
      IpClaimPool,
      pool,
      "the pool to be found valid",
      ({ status }) =>
        status?.conditions?.some((c: any) => c.type === "Valid" && c.status === "True") &&
        status.capacity === 4
    )
    yield* step(`pool test-pool is valid and has 4 addresses (seen after ${valid.millis} ms)`)

    if (lan !== undefined) {
      const ready = yield* Effect.forEach(
        lan.nodes,
        ({ name }) =>
          observe(
            api,
            IpNode,
            { namespace: "", name },
            `${name} to be ready`,
            ({ status }) => status?.ready === true
          ),
        { concurrency: "unbounded" }
      )
      const millis = Math.max(...ready.map((one) => one.millis))
      yield* step(`${lan.nodes.map(({ name }) => name).join(", ")} are ready (seen after ${millis} ms)`)
    }

    yield* kubectl("create", "service", "clusterip", "web", ...inDefault, "--tcp=80:8080")
    yield* kubectl("annotate", "service", "web", ...inDefault, "external-ip=auto")
    const given = yield* observe(
      api,
      Service,
      web,
      "the Service to show an address",
      ({ spec }) => (spec?.externalIPs ?? []).length === 1
    )
    const address = (given.object["spec"] as { externalIPs: ReadonlyArray<string> }).externalIPs[0]!
    yield* step(
      `kubectl annotate service web external-ip=auto → ${address} (seen ${given.millis} ms after kubectl)`
    )

    const allocated = yield* observe(
      api,
      IpClaimPool,
      pool,
      `${address} in the pool's status.allocated`,
      ({ status }) => status?.allocated?.[address] !== undefined && status.used === 1
    )
    yield* step(`test-pool says allocated: ${JSON.stringify((allocated.object["status"] as any).allocated)}`)

    if (lan !== undefined) yield* onTheWire(api, lan, address)

    yield* Console.log("\n  who did what, when:  extip trace service/default/web\n")
    const last = lan === undefined ? "summarize-pool" : "bind-on-node"
    const trace = yield* traceOf(web, (spans) =>
      [last, "summarize-pool"].every((name) => spans.some((span) => span.function === name))
    ).pipe(Effect.provide(Nats.layer({ url: natsUrl, name: "extip-up" })))
    for (const line of trace) yield* Console.log(`  ${line}`)

    yield* kubectl("delete", "service", "web", ...inDefault)
    const free = yield* observe(
      api,
      IpClaimPool,
      pool,
      `${address} to be free again`,
      ({ status }) => status?.used === 0 && Object.keys(status.allocated ?? {}).length === 0
    )
    yield* step(`kubectl delete service web → ${address} is free again (seen after ${free.millis} ms)`)
  })
