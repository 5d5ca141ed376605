import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { defineKind, Metadata } from "../Kind.ts"
import { type Change, defineIndex } from "../View.ts"
import { at, raw, Thing } from "./thing.fixture.ts"
import { WorldView } from "./worldView.ts"

const seen = (view: WorldView, name: string) => view.find(Thing, at(name))?.spec.colour
const event = (view: WorldView, name: string, version: number, colour: string, uid?: string) =>
  view.applyEvent(Thing, at(name), "modified", uid ?? `uid-${name}`, raw(name, version, colour, uid))
const gone = (view: WorldView, name: string, uid = `uid-${name}`) =>
  view.applyEvent(Thing, at(name), "deleted", uid, raw(name, 99, "gone", uid))

/** Colour → the names of the things that have it. */
const byColour = defineIndex<Map<string, Set<string>>>({
  name: "by-colour",
  reads: [Thing],
  make: () => {
    const state = new Map<string, Set<string>>()
    return {
      state,
      apply: ({ key, before, after }) => {
        const [had, has] = [before, after].map((one) => (one as Thing | undefined)?.spec.colour)
        if (had !== undefined) state.get(had)?.delete(key)
        if (had !== undefined && state.get(had)?.size === 0) state.delete(had)
        if (has !== undefined) state.set(has, (state.get(has) ?? new Set()).add(key))
      }
    }
  }
})
const plain = (index: Map<string, Set<string>>) =>
  [...index].map(([colour, keys]) => [colour, [...keys].toSorted()]).toSorted()

describe("the view of a process", () => {
  it("has what it wrote itself at once, and passes over an event that is older", () => {
    const view = new WorldView([Thing])
    event(view, "a", 1, "red")
    view.applyWrite(Thing, raw("a", 3, "blue"))
    event(view, "a", 2, "green")
    expect(seen(view, "a")).toBe("blue")
    event(view, "a", 4, "white")
    expect(seen(view, "a")).toBe("white")
  })

  it("knows what it is past: the state that it has, older ones of the object, and all of one that is gone", () => {
    const view = new WorldView([Thing])
    const isPast = (version: string, uid = "uid-a") => view.isPast(Thing, at("a"), uid, version)
    expect(isPast("1")).toBe(false)
    view.applyWrite(Thing, raw("a", 10, "blue"))
    expect(["9", "10", "11"].map((version) => isPast(version))).toEqual([true, true, false])
    expect(isPast("9", "uid-of-another")).toBe(false)
    gone(view, "a")
    expect(isPast("12")).toBe(true)
  })

  it("compares versions as numbers", () => {
    const view = new WorldView([Thing])
    event(view, "a", 9, "old")
    event(view, "a", 10, "new")
    expect(seen(view, "a")).toBe("new")
  })

  it("does not bring back by a late event, or a late answer, what was deleted", () => {
    const view = new WorldView([Thing])
    event(view, "a", 1, "red")
    gone(view, "a")
    event(view, "a", 2, "green")
    view.applyWrite(Thing, raw("a", 3, "blue"))
    expect(seen(view, "a")).toBeUndefined()
  })

  it("forgets what it deleted itself at once, and for good", () => {
    const view = new WorldView([Thing])
    event(view, "a", 1, "red")
    view.applyGone(Thing, at("a"), "uid-a")
    event(view, "a", 2, "green")
    expect(seen(view, "a")).toBeUndefined()
  })

  it("takes an object that was created again for another one, whatever its version", () => {
    const view = new WorldView([Thing])
    event(view, "a", 50, "red")
    event(view, "a", 7, "blue", "second")
    expect(seen(view, "a")).toBe("blue")
  })

  it("keeps the present object when the deletion of its predecessor comes late", () => {
    const view = new WorldView([Thing])
    event(view, "a", 1, "red")
    event(view, "a", 5, "blue", "second")
    gone(view, "a")
    view.applyGone(Thing, at("a"), "uid-a")
    expect(seen(view, "a")).toBe("blue")
  })

  it("says what it cannot read, and keeps the state before", () => {
    const problems: Array<string> = []
    const view = new WorldView([Thing], (kind, ref, problem) =>
      problems.push(`${kind.kind} ${ref.name}: ${problem}`)
    )
    event(view, "a", 1, "red")
    view.applyEvent(Thing, at("a"), "modified", "uid-a", { ...raw("a", 2, "blue"), spec: { colour: 7 } })
    expect(seen(view, "a")).toBe("red")
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain("Thing a: ")
  })

  it("says so too of a schema that throws, instead of ending who brought the object", () => {
    const colour = Schema.String.pipe(
      Schema.decodeTo(Schema.String, {
        decode: SchemaGetter.transform((text: string) => {
          if (text === "plaid") throw new Error("no such colour")
          return text
        }),
        encode: SchemaGetter.passthrough()
      })
    )
    const schema = Schema.Struct({ metadata: Metadata, spec: Schema.Struct({ colour }) })
    const Painted = defineKind({ ...Thing, schema: schema as never })
    const problems: Array<string> = []
    const view = new WorldView([Painted], (_kind, ref, problem) => problems.push(`${ref.name}: ${problem}`))
    view.applyEvent(Painted, at("a"), "added", "uid-a", raw("a", 1, "red"))
    view.applyEvent(Painted, at("a"), "modified", "uid-a", raw("a", 2, "plaid"))
    expect(problems).toEqual([expect.stringContaining("a: ")])
    expect(view.find(Painted, at("a"))).toMatchObject({ spec: { colour: "red" } })
  })

  it("keeps of an object what its kind names, and nothing else", () => {
    const view = new WorldView([Thing])
    view.applyWrite(Thing, { ...raw("a", 1, "red"), data: "x".repeat(100) })
    expect(Object.keys(view.find(Thing, at("a"))!)).toEqual(["metadata", "spec"])
  })

  it("refuses a kind that nobody declared", () => {
    expect(() => new WorldView([]).find(Thing, at("a"))).toThrow("declare read(Thing)")
  })

  it("takes over a new life of the log: what that does not hold is gone, what is the same does not move", () => {
    const view = new WorldView([Thing])
    event(view, "same", 1, "red")
    event(view, "gone", 2, "red")
    event(view, "other", 3, "red")
    const index = view.index(byColour)
    const same = view.find(Thing, at("same"))
    const read = (name: string, version: number, colour: string) =>
      view.decode(Thing, raw(name, version, colour))!
    view.replaceAll(
      Thing,
      new Map([
        ["default/same", read("same", 1, "red")],
        ["default/other", read("other", 2, "blue")],
        ["default/new", read("new", 9, "blue")]
      ])
    )
    expect(view.find(Thing, at("same"))).toBe(same)
    expect(plain(index)).toEqual([
      ["blue", ["default/new", "default/other"]],
      ["red", ["default/same"]]
    ])
  })

  it("follows an object that was gone and is there again in a new life of the log: the cluster was restored", () => {
    const view = new WorldView([Thing])
    event(view, "a", 5, "red")
    gone(view, "a")
    view.replaceAll(Thing, new Map([["default/a", view.decode(Thing, raw("a", 3, "white"))!]]))
    expect(seen(view, "a")).toBe("white")
    expect(view.isPast(Thing, at("a"), "uid-a", "4")).toBe(false)
    event(view, "a", 4, "blue")
    expect(seen(view, "a")).toBe("blue")
  })
})

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
const Step = Schema.Struct({
  how: Schema.Literals(["event", "write", "deleted", "gone", "replace"]),
  name: Small,
  version: Small,
  colour: Small,
  life: Small
})

describe("an index", () => {
  it.effect.prop(
    "is after any events and writes what it would be if it were made anew",
    [Schema.Array(Step).check(Schema.isMaxLength(60))],
    ([steps]) =>
      Effect.sync(() => {
        const view = new WorldView([Thing])
        const live = view.index(byColour)
        for (const { how, name: number, version, colour, life } of steps) {
          const [name, uid] = [`n${number % 4}`, `uid-${number % 4}-${life % 2}`]
          const object = raw(name, version, `c${colour % 3}`, uid)
          if (how === "event") view.applyEvent(Thing, at(name), "modified", uid, object)
          else if (how === "write") view.applyWrite(Thing, object)
          else if (how === "deleted") view.applyEvent(Thing, at(name), "deleted", uid, object)
          else if (how === "gone") view.applyGone(Thing, at(name), uid)
          else view.replaceAll(Thing, new Map([[`default/${name}`, view.decode(Thing, object)!]]))
        }
        const anew = new Map<string, Array<string>>()
        for (const { metadata, spec } of view.list(Thing)) {
          anew.set(spec.colour, [...(anew.get(spec.colour) ?? []), `default/${metadata.name}`])
        }
        expect(plain(live)).toEqual([...anew].map(([colour, keys]) => [colour, keys.toSorted()]).toSorted())
        expect(view.count(Thing)).toBe([...view.list(Thing)].length)
      })
  )

  it("that throws for an object is not to be had until that is another one; whoever brought it goes on", () => {
    const view = new WorldView([Thing])
    const fragile = defineIndex<Set<string>>({
      name: "fragile",
      reads: [Thing],
      make: () => {
        const state = new Set<string>()
        const apply = ({ key, after }: Change) => {
          if ((after as Thing | undefined)?.spec.colour === "plaid") throw new Error("no such colour: plaid")
          if (after !== undefined) state.add(key)
        }
        return { state, apply }
      }
    })
    view.index(fragile)
    event(view, "a", 1, "plaid")
    expect(seen(view, "a")).toBe("plaid")
    event(view, "b", 2, "red")
    const refusal = /the index fragile cannot take in things.*default\/a: no such colour: plaid/
    expect(() => view.index(fragile)).toThrow(refusal)
    event(view, "a", 3, "blue")
    expect([...view.index(fragile)].toSorted()).toEqual(["default/a", "default/b"])
    event(view, "b", 4, "plaid")
    gone(view, "b")
    expect([...view.index(fragile)]).toEqual(["default/a"])
  })

  it("is refused beside another one of the same name, which goes on", () => {
    const view = new WorldView([Thing])
    const mine = view.index(byColour)
    const theirs = defineIndex({
      name: byColour.name,
      reads: [Thing],
      make: () => ({ state: 0, apply: () => undefined })
    })
    expect(() => view.index(theirs)).toThrow(
      "two indexes are named by-colour: define each once, outside of handlers"
    )
    event(view, "a", 1, "red")
    expect(plain(view.index(byColour))).toEqual([["red", ["default/a"]]])
    expect(view.index(byColour)).toBe(mine)
  })

  it("that throws already when it is made says the same", () => {
    const view = new WorldView([Thing])
    event(view, "a", 1, "red")
    const apply = () => {
      throw "out of sorts"
    }
    const hopeless = defineIndex({ name: "hopeless", reads: [Thing], make: () => ({ state: 0, apply }) })
    for (const _ of [1, 2]) expect(() => view.index(hopeless)).toThrow(/default\/a: out of sorts/)
  })
})
