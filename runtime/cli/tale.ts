import { join } from "node:path"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { IpClaimPool, Service } from "../../functions/domain/kinds.ts"
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
      const found = yield* natsCall("read the traces", () => collect(nats.js, kinds, { kind: Service, ref }))
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
}

/** Tells the story of one Service, each step as it was observed on the API server. */
export const tellStory = ({ api, kubectl, natsUrl, examples }: TaleOptions) =>
  Effect.gen(function* () {
    const step = (line: string) => Console.log(`  ✓ ${line}`)
    const pool = { namespace: "", name: "test-pool" }
    const web = { namespace: "default", name: "web" }
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

    yield* kubectl("create", "service", "clusterip", "web", "--tcp=80:8080")
    yield* kubectl("annotate", "service", "web", "external-ip=auto")
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

    yield* Console.log("\n  who did what, when:  extip trace service/default/web\n")
    const trace = yield* traceOf(web, (spans) =>
      spans.some((span) => span.function === "summarize-pool")
    ).pipe(Effect.provide(Nats.layer({ url: natsUrl, name: "extip-up" })))
    for (const line of trace) yield* Console.log(`  ${line}`)

    yield* kubectl("delete", "service", "web")
    const free = yield* observe(
      api,
      IpClaimPool,
      pool,
      `${address} to be free again`,
      ({ status }) => status?.used === 0 && Object.keys(status.allocated ?? {}).length === 0
    )
    yield* step(`kubectl delete service web → ${address} is free again (seen after ${free.millis} ms)`)
  })
