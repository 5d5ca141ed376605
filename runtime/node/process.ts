import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { FunctionDefinition } from "../Function.ts"
import { Nats, type NatsOptions } from "../nats/connection.ts"
import { SpanRecorder } from "../trace/recorder.ts"
import {
  type BindFailure,
  HeldByForeign,
  HeldByOurs,
  HeldByUnknown,
  KernelSaidNo,
  NoFittingLink,
  Wire
} from "../Wire.ts"
import { Contact } from "./contact.ts"
import { Duties } from "./duties.ts"
import { FewLines } from "./fewLines.ts"
import type { LinkChoice } from "./links.ts"
import { nodeMetrics } from "./metrics.ts"
import { describeNews, levelOf } from "./news.ts"
import { Reporter } from "./reporter.ts"
import { NodeRuntime } from "./runtime.ts"
import type { NodeNews } from "./surroundings.ts"
import type { NodeTimes } from "./times.ts"
import { Tracing } from "./tracing.ts"

export interface NodeProcessOptions {
  readonly node: string
  readonly version: string
  readonly functions: ReadonlyArray<FunctionDefinition<any>>
  readonly nats: NatsOptions
  readonly choice: LinkChoice
  readonly file: string
  readonly times: NodeTimes
}

export interface NodeProcess {
  readonly isReady: () => boolean
  readonly observe: () => void
  readonly run: (signal: AbortSignal) => Promise<void>
}

/** Anything else is a fault of ours. */
const asBindFailure = (cause: unknown): BindFailure => {
  const known = [NoFittingLink, HeldByOurs, HeldByUnknown, HeldByForeign, KernelSaidNo]
  if (known.some((failure) => cause instanceof failure)) return cause as BindFailure
  throw cause
}

/** `Wire`, as a handler sees the runtime. */
const wireOf = (runtime: NodeRuntime): Context.Service.Shape<typeof Wire> => ({
  bind: (assignment) => Effect.tryPromise({ try: () => runtime.bind(assignment), catch: asBindFailure }),
  standBy: (assignment) => Effect.promise(() => runtime.standBy(assignment)),
  release: (claim, reason) => Effect.promise(() => runtime.release(claim, reason))
})

/**
 * The runtime of one node, with its logs and metrics. It does not wait for NATS: what the node holds is renewed, and
 * what it stands by for is watched, from what it remembers.
 *
 * @throws KernelRefused when the kernel does not let us, or cannot.
 */
export const nodeProcess = (options: NodeProcessOptions): Effect.Effect<NodeProcess> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const log = Effect.runForkWith(context)
    const { node } = options
    let contact: Contact | undefined
    let recorder: SpanRecorder | undefined
    const reporter = new Reporter(node)
    const tracing = new Tracing(node, (span) => recorder?.record(span))
    const metrics = nodeMetrics(context)
    const say = (news: NodeNews): void => {
      metrics.happened(news)
      log(Effect.logWithLevel(levelOf(news))(describeNews(news)))
    }
    const runtime: NodeRuntime = new NodeRuntime({
      ...options,
      inContact: () => contact?.isLive ?? false,
      report: (report) => reporter.add(report, tracing.of(report)),
      changed: (claim, assignment, message) => {
        tracing.assigned(claim, message)
        duties.set(claim, assignment, message)
      },
      wake: (claim) => duties.wake(claim),
      linksChanged: () => contact?.refresh(),
      say
    })
    const duties = new Duties({
      functions: options.functions,
      node,
      context: Context.add(context, Wire, wireOf(runtime)) as Context.Context<never>,
      record: (span) => recorder?.record(span),
      ended: (functionName, object, ended) => {
        metrics.ended(functionName, ended._tag)
        const about = Effect.annotateLogs({ function: functionName, object })
        if (ended._tag === "Done" && ended.decision !== undefined) {
          done.add(Effect.logInfo(ended.decision).pipe(about))
        } else if (ended._tag === "Again") again.add(Effect.logDebug(`again: ${ended.cause}`).pipe(about))
        else if (ended._tag === "Park") log(Effect.logError(ended.cause).pipe(about))
      }
    })
    const done = new FewLines<Effect.Effect<void>>(log, (more) =>
      log(Effect.logInfo(`and ${more} more addresses in this moment`))
    )
    const again = new FewLines<Effect.Effect<void>>(log, (more) =>
      log(Effect.logDebug(`and ${more} more are tried again`))
    )

    const talk = async (nats: Context.Service.Shape<typeof Nats>, signal: AbortSignal): Promise<void> => {
      recorder = new SpanRecorder(nats.connection, nats.isConnected)
      contact = new Contact({
        node,
        nats,
        ...options.times,
        presence: () => runtime.presence(),
        inventory: () => runtime.inventory(),
        began: () => {
          runtime.slice.begin()
          runtime.peers.begin()
        },
        assignment: (assignment, message) => runtime.tell(message, (slice) => slice.put(assignment)),
        gone: (claim, movedTo, message) => runtime.tell(message, (slice) => slice.gone(claim, movedTo)),
        whole: () => runtime.tell(undefined, (slice) => slice.whole()),
        draining: (draining) => {
          runtime.slice.draining = draining
        },
        peer: (name, { links }) => {
          runtime.peers.hear(name)
          if (name !== node) runtime.peers.set(name, links)
        },
        peerGone: (name) => runtime.peers.gone(name),
        ready: () => reporter.begin(nats.connection),
        ended: () => reporter.end(),
        say: (message) => say({ _tag: "Trouble", message })
      })
      await contact.run(signal)
    }

    return {
      isReady: () => (contact?.isLive ?? false) && runtime.slice.isWhole,
      observe: () => metrics.observe(runtime, reporter),
      run: async (signal) => {
        const scope = Scope.makeUnsafe()
        const kernel = runtime.run(signal)
        // The conversation outlives the signal: what is handed over at the end is still to be reported.
        const talkUntil = new AbortController()
        const connect = async () => {
          for (;;) {
            try {
              return await Effect.runPromiseWith(context)(
                Layer.buildWithScope(Nats.layer(options.nats), scope)
              )
            } catch (cause) {
              // Credentials that cannot be read, say: what the node holds is kept meanwhile.
              say({ _tag: "Trouble", message: cause instanceof Error ? cause.message : String(cause) })
              await Promise.race([new Promise((resolve) => setTimeout(resolve, 5_000)), aborted(signal)])
              if (signal.aborted) return undefined
            }
          }
        }
        const talking = Promise.race([connect(), aborted(signal)]).then((built) =>
          built === undefined ? undefined : talk(Context.get(built, Nats), talkUntil.signal)
        )
        await kernel
        await duties.stop()
        await runtime.leave(() => reporter.settled(2_000))
        recorder?.flush()
        talkUntil.abort()
        await talking.catch(() => undefined)
        // A connection that never came is not waited for.
        await Promise.race([
          Effect.runPromiseWith(context)(Scope.close(scope, Exit.void)),
          new Promise((resolve) => setTimeout(resolve, 2_000))
        ])
      }
    }
  })

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener("abort", () => resolve(undefined), { once: true })
  })
