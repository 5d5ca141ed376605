// @effect-diagnostics missingEffectError:off
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Disposition, Retry } from "./Disposition.ts"
import {
  defineBatchFunction,
  defineFunction,
  Misdeclared,
  requireDistinctNames,
  requireOneKindEach,
  requireOneVersionEach
} from "./Function.ts"
import { Thing } from "./host/thing.fixture.ts"
import { defineKind, type KubeObject, Metadata } from "./Kind.ts"
import { create, place, read, seeFleet } from "./Needs.ts"
import { every, fleetChanged } from "./Trigger.ts"
import { TestCluster } from "./testkit.ts"

const needs = [read(Thing)]
const Other = defineKind<Thing>({ ...Thing, kind: "Other", plural: "others" })
const named = (name: string) =>
  defineFunction({ name, on: [Thing.changed], needs, handle: () => Effect.void })

describe("a function's declaration", () => {
  it("is taken as it is, and nothing happens by it", () => {
    const fn = named("paint-on-change")
    expect(fn).toMatchObject({ name: "paint-on-change", debounceMillis: 0, when: [] })
  })

  it.each(["Paint", "paint_on_change", "-paint", "paint-", "paint--on", "", "1-paint", "p".repeat(64)])(
    "refuses the name %j with a sentence that says what a name is",
    (name) => {
      expect(() => named(name)).toThrow(Misdeclared)
      expect(() => named(name)).toThrow("a name is lower-case words joined by dashes")
    }
  )

  it("refuses a function that nothing wakes", () => {
    expect(() =>
      // @ts-expect-error: `on` has at least one trigger
      defineFunction({ name: "paint-on-nothing", on: [], needs, handle: () => Effect.void })
    ).toThrow('nothing wakes it; give "on" at least one trigger')
  })

  it("refuses triggers on what it does not declare to read, or for what it does not", () => {
    expect(() =>
      defineFunction({
        name: "paint-on-change",
        on: [Thing.changed],
        needs: [create(Thing)],
        handle: () => Effect.void
      })
    ).toThrow('it is woken by or for Thing, so "needs" must contain read(Thing)')
    const others = { kind: Other, keys: () => [] }
    expect(() =>
      defineFunction({
        name: "paint-on-change",
        on: [Thing.changed.wakes(others)],
        needs,
        handle: () => Effect.void
      })
    ).toThrow("read(Other)")
  })

  it.each(["0 seconds", "-1 seconds", "25 days", "Infinity"] as const)(
    "refuses a timer of %s, which would never stop",
    (interval) => {
      expect(() =>
        defineFunction({
          name: "paint-on-time",
          on: [every(interval)],
          needs: [],
          handle: () => Effect.void
        })
      ).toThrow('function "paint-on-time": "every" takes an interval of 1 millisecond to 24 days')
    }
  )

  it("refuses two functions of one name, when they are hosted", () => {
    const twice = [named("paint-on-change"), named("paint-on-change")]
    expect(() => requireDistinctNames(twice)).toThrow('two functions are named "paint-on-change"')
    expect(() => new TestCluster(twice)).toThrow(Misdeclared)
  })

  it("refuses two shapes of one resource in one host, and says whose they are", () => {
    const Narrow = defineKind<KubeObject>({ ...Thing, schema: Schema.Struct({ metadata: Metadata }) })
    const narrow = defineFunction({
      name: "sign-on-change",
      on: [Narrow.changed],
      needs: [read(Narrow)],
      handle: () => Effect.void
    })
    const both = [named("paint-on-change"), narrow]
    const sentence =
      'functions "paint-on-change" and "sign-on-change" declare things.test.example in different shapes, and a host holds ' +
      'one: import it from one place ("extip/kinds", if it is there), export them from one function.ts, or host one of them ' +
      "apart with --only"
    expect(() => requireOneKindEach(both)).toThrow(sentence)
    expect(() => new TestCluster(both)).toThrow(Misdeclared)
    expect(() => requireOneKindEach([named("paint-on-change"), named("paint-on-create")])).not.toThrow()
    const colour = Schema.Struct({ colour: Schema.String })
    const Copy = defineKind<Thing>({ ...Thing, schema: Schema.Struct({ metadata: Metadata, spec: colour }) })
    const copied = { name: "sign-on-change", needs: [read(Copy)].flat() }
    expect(() => requireOneKindEach([named("paint-on-change"), copied])).not.toThrow()
    // A bridge holds no shapes.
    expect(() => requireOneVersionEach(both)).not.toThrow()
    const Later = defineKind<Thing>({ ...Thing, version: "v2" })
    const twoVersions = { name: "read-both", needs: [read(Thing), read(Later)].flat() }
    expect(() => requireOneVersionEach([twoVersions])).toThrow(
      'function "read-both" declares things.test.example in different versions'
    )
  })
})

class Undisposed extends Data.TaggedError("Undisposed")<{ readonly message: string }> {}
class Disposed extends Data.TaggedError("Disposed")<{ readonly message: string }> {
  readonly disposition: Disposition = Retry
}

describe("a handler", () => {
  const base = { name: "paint-on-change", on: [Thing.changed], needs } as const

  it("whose error does not say what happens next does not compile", () => {
    defineFunction({ ...base, handle: () => Effect.fail(new Disposed({ message: "again" })) })
    // @ts-expect-error: Undisposed has no disposition
    defineFunction({ ...base, handle: () => Effect.fail(new Undisposed({ message: "what now?" })) })
    // @ts-expect-error: nor has a string
    defineFunction({ ...base, handle: () => Effect.fail("what now?") })
  })

  it("is given what its triggers hand over, and no other does for it", () => {
    defineFunction({ ...base, handle: (thing) => Effect.succeed(thing.spec.colour) })
    defineFunction({ ...base, on: [Thing.touched], handle: ({ now }) => Effect.succeed(now?.spec.colour) })
    // @ts-expect-error: one trigger hands over the object, the other its key
    defineFunction({ ...base, on: [Thing.changed, Thing.touched], handle: () => Effect.void })
  })

  it("answers with a sentence, or nothing", () => {
    // @ts-expect-error: a number is no decision
    defineFunction({ ...base, handle: () => Effect.succeed(7) })
  })
})

describe("a batch function", () => {
  const base = { name: "paint-on-change", needs: [read(Thing), seeFleet] } as const
  const nobody = { kind: Thing, keys: () => [] }

  it("is given keys, by triggers that give them", () => {
    const fn = defineBatchFunction({
      ...base,
      on: [Thing.touched, Thing.changed.touches(nobody), fleetChanged(["lost"]).touches(nobody)],
      handle: (things) => Effect.succeed(things[0]?.now?.spec.colour)
    })
    expect(fn).toMatchObject({ fleet: "sees", batch: { afterMillis: 5, most: 1_000 } })
    expect(() =>
      // @ts-expect-error: this one gives the object
      defineBatchFunction({ ...base, on: [Thing.changed], handle: () => Effect.void })
    ).toThrow('a batch is made of keys; use "touched", "deleted" or "touches" in "on"')
    const others = { kind: Other, keys: () => [] }
    const on = [Thing.touched, Thing.changed.touches(others)] as const
    const both = [read(Thing), read(Other)]
    expect(() => defineBatchFunction({ ...base, needs: both, on, handle: () => Effect.void })).toThrow(
      "a batch is made of objects of one kind"
    )
  })

  it("has room for one object at least", () => {
    const of = (batch: object) => () =>
      defineBatchFunction({ ...base, on: [Thing.touched], batch, handle: () => Effect.void })
    expect(of({ most: 0 })).toThrow(Misdeclared)
    expect(of({ afterMillis: Number.NaN })).toThrow(Misdeclared)
  })

  it("is woken by the fleet only if it declares to see it, as any function", () => {
    const on = [fleetChanged(["lost"]).wakes(nobody)] as const
    expect(() => defineFunction({ ...base, on, needs, handle: () => Effect.void })).toThrow(
      'it is woken by the fleet, so "needs" must contain seeFleet or place'
    )
    expect(
      defineFunction({ ...base, on, needs: [read(Thing), place], handle: () => Effect.void }).fleet
    ).toBe("places")
  })
})
