import type { JsMsg } from "@nats-io/jetstream"
import * as Console from "effect/Console"
import { Argument, Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { defaultSettings } from "../../functions/domain/settings.ts"
import { functions as ours } from "../../functions/index.ts"
import { Misdeclared } from "../Function.ts"
import { publishWake } from "../host/host.ts"
import { kindsOf } from "../host/kinds.ts"
import type { ParkedEvent } from "../host/parked.ts"
import { resourceName } from "../Kind.ts"
import { Nats, natsCall } from "../nats/connection.ts"
import { objectToken } from "../nats/names.ts"
import { readAll } from "../nats/readAll.ts"
import { collect } from "../trace/collect.ts"
import { newSpan, traceparentOf } from "../trace/context.ts"
import { draw, tell } from "../trace/story.ts"
import { selectFunctions } from "./load.ts"
import { parseObject } from "./objects.ts"
import * as options from "./options.ts"
import { misdeclared, natsLayer } from "./process.ts"
import { settingsOf } from "./settings.ts"

const shared = { ...options.natsOptions, from: options.from }

const allFunctions = (from: Option.Option<string>, settings = defaultSettings) =>
  Effect.tryPromise({
    try: () => selectFunctions(ours(settings), Option.getOrUndefined(from), undefined),
    catch: misdeclared
  })

export const trace = Command.make(
  "trace",
  { ...shared, object: Argument.String("object") },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      const nats = yield* Nats
      const kinds = kindsOf(yield* allFunctions(flags.from))
      const wanted = yield* parseObject(kinds, flags.object)
      const { events, spans } = yield* natsCall("read the traces", () =>
        collect(nats.js, nats.jsm, kinds, wanted)
      )
      if (events.length === 0 && spans.length === 0) {
        return yield* Console.log(`nothing is on record of ${flags.object}: the log keeps 24 hours`)
      }
      for (const line of draw(tell(events, spans))) yield* Console.log(line)
    }).pipe(Effect.provide(natsLayer(flags, "extip-trace")))
  })
).pipe(
  Command.withDescription("what happened to an object, who did it, when: extip trace service/NAMESPACE/NAME")
)

export const why = Command.make(
  "why",
  {
    ...shared,
    ...options.settingsOptions,
    function: Argument.String("function"),
    object: Argument.String("object")
  },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      const nats = yield* Nats
      // Guards depend on them: the same as the function hosts have.
      const functions = yield* allFunctions(flags.from, yield* settingsOf(flags))
      const fn = functions.find(({ name }) => name === flags.function)
      if (fn === undefined) {
        const names = functions.map(({ name }) => name).join(", ")
        return yield* Effect.fail(
          new Misdeclared(`there is no function "${flags.function}"; there are ${names}`)
        )
      }
      const kinds = kindsOf(functions)
      const wanted = yield* parseObject(kinds, flags.object)
      const trigger = fn.on.find(
        ({ target }) => target !== undefined && resourceName(target) === resourceName(wanted.kind)
      )
      if (trigger === undefined) {
        return yield* Console.log(`${fn.name} never runs for a ${wanted.kind.kind}`)
      }
      const subject = `$KV.kube.${objectToken(wanted.kind, wanted.ref)}`
      const last = yield* natsCall("read the bucket kube", () =>
        nats.jsm.direct.getMessage("KV_kube", { last_by_subj: subject })
      )
      const present = last !== null && last.header.get("KV-Operation") === ""
      if (!present) yield* Console.log(`${flags.object}: there is no such object in the bucket kube`)
      if (!present && trigger.gives === "object") return
      const decoded = present ? Schema.decodeUnknownResult(trigger.target!.schema)(last.json()) : undefined
      if (decoded !== undefined && Result.isFailure(decoded)) {
        return yield* Console.log(`its shape is not the expected one: ${decoded.failure.message}`)
      }
      const now = decoded?.success
      const input = trigger.gives === "key" ? { ref: wanted.ref, now } : now
      for (const guard of fn.when) {
        const holds = guard(input)
        yield* Console.log(`${holds ? "yes" : "no "}  ${guard.name || "(unnamed guard)"}`)
        if (!holds)
          return yield* Console.log(`${fn.name} has nothing to do for it: ${guard.name} does not hold`)
      }
      yield* Console.log(`${fn.name} runs for it; its last runs:`)
      const { spans } = yield* natsCall("read the traces", () => collect(nats.js, nats.jsm, kinds, wanted))
      const mine = spans.filter((span) => span.function === fn.name).toSorted((a, b) => a.start - b.start)
      if (mine.length === 0)
        yield* Console.log("  none on record: is a host running it? `nats consumer info KUBE`")
      for (const span of mine.slice(-5)) {
        const when = new Date(span.start).toISOString()
        yield* Console.log(
          `  ${when} ${span.outcome}${span.decision === undefined ? "" : `: ${span.decision}`}`
        )
      }
    }).pipe(Effect.provide(natsLayer(flags, "extip-why")))
  })
).pipe(
  Command.withDescription("why a function did or did not act: extip why FUNCTION service/NAMESPACE/NAME")
)

const readParked = Effect.gen(function* () {
  const nats = yield* Nats
  const found: Array<{ readonly sequence: number; readonly event: ParkedEvent }> = []
  yield* natsCall("read PARKED", () =>
    readAll(nats.js, { stream: "PARKED", filters: ["parked.>"] }, (message: JsMsg) => {
      found.push({ sequence: message.seq, event: message.json<ParkedEvent>() })
    })
  )
  return found
})

const oneParked = (sequence: number) =>
  Effect.gen(function* () {
    const found = (yield* readParked).find((entry) => entry.sequence === sequence)
    return found === undefined
      ? yield* Effect.fail(
          new Misdeclared(`nothing is parked under number ${sequence}; see: extip parked list`)
        )
      : found
  })

const parkedList = Command.make(
  "list",
  shared,
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      const found = yield* readParked
      if (found.length === 0) yield* Console.log("nothing is parked")
      for (const { sequence, event } of found) {
        const cause = event.cause.split("\n")[0]
        yield* Console.log(`${sequence}  ${event.at}  ${event.function}  ${event.object}  ${cause}`)
      }
    }).pipe(Effect.provide(natsLayer(flags, "extip-parked")))
  })
).pipe(Command.withDescription("every event that a function gave up on, with its number"))

const number = Argument.Int("number")

const parkedShow = Command.make(
  "show",
  { ...shared, number },
  Effect.fnUntraced(function* (flags) {
    yield* oneParked(flags.number).pipe(
      Effect.flatMap(({ event }) => Console.log(JSON.stringify(event, undefined, 2))),
      Effect.provide(natsLayer(flags, "extip-parked"))
    )
  })
).pipe(Command.withDescription("one of them, with its cause"))

const parkedDrop = Command.make(
  "drop",
  { ...shared, number },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      const { sequence, event } = yield* oneParked(flags.number)
      const nats = yield* Nats
      yield* natsCall("delete from PARKED", () => nats.jsm.streams.deleteMessage("PARKED", sequence))
      yield* Console.log(`dropped: ${event.function} for ${event.object}`)
    }).pipe(Effect.provide(natsLayer(flags, "extip-parked")))
  })
).pipe(Command.withDescription("forgets one of them"))

const parkedRetry = Command.make(
  "retry",
  { ...shared, number },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      const { sequence, event } = yield* oneParked(flags.number)
      const nats = yield* Nats
      const kinds = kindsOf(yield* allFunctions(flags.from))
      if (event.resource === "") return yield* Console.log("a timer's run: it runs again by itself")
      const wanted = yield* parseObject(kinds, event.object)
      yield* natsCall("publish", () =>
        publishWake(nats.js, event.function, wanted.kind, wanted.ref, traceparentOf(newSpan()))
      )
      yield* natsCall("delete from PARKED", () => nats.jsm.streams.deleteMessage("PARKED", sequence))
      yield* Console.log(`${event.function} runs again for ${event.object}`)
    }).pipe(Effect.provide(natsLayer(flags, "extip-parked")))
  })
).pipe(Command.withDescription("runs the function again for the object's present state"))

export const parked = Command.make("parked").pipe(
  Command.withDescription("events that a function gave up on"),
  Command.withSubcommands([parkedList, parkedShow, parkedRetry, parkedDrop])
)
