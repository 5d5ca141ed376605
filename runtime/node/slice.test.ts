import { describe, expect, it } from "@effect/vitest"
import type { Assignment } from "../fleet/messages.ts"
import { Slice } from "./slice.ts"

const held = (term = 1): Assignment => ({
  role: "holder",
  claim: "10-0-0-1",
  address: "10.0.0.1",
  term,
  standby: "n2"
})
const standby = (term = 1): Assignment => ({ ...held(term), role: "standby", holder: "n2" })

const sliceThat = (holds: boolean) => {
  const changes: Array<string> = []
  const slice = new Slice(
    () => holds,
    (claim, now) => changes.push(now === undefined ? `${claim} gone` : `${claim} ${now.role} ${now.term}`)
  )
  return { slice, changes }
}

describe("a node's slice", () => {
  it("adds from the first moment on", () => {
    const { slice, changes } = sliceThat(false)
    slice.put(held())
    expect(changes).toEqual(["10-0-0-1 holder 1"])
    expect(slice.at("10.0.0.1")?.claim).toBe("10-0-0-1")
  })

  it("takes nothing away because it is absent, until it is known to be whole", () => {
    const { slice, changes } = sliceThat(true)
    slice.put(held())
    slice.begin()
    expect(slice.find("10-0-0-1")).toEqual(held())
    slice.gone("10-0-0-1")
    expect(slice.find("10-0-0-1")).toEqual(held())
    slice.whole()
    expect(slice.find("10-0-0-1")).toBeUndefined()
    expect(changes).toEqual(["10-0-0-1 holder 1", "10-0-0-1 gone"])
  })

  it("knows who has been given what it has no longer, until the bucket is read anew", () => {
    const { slice } = sliceThat(true)
    slice.put(held())
    slice.whole()
    slice.gone("10-0-0-1", "n3")
    expect(slice.movedTo("10-0-0-1")).toBe("n3")
    slice.gone("10-0-0-1")
    expect(slice.movedTo("10-0-0-1")).toBeUndefined()
    slice.gone("10-0-0-1", "n3")
    slice.put(held(2))
    expect(slice.movedTo("10-0-0-1")).toBeUndefined()
  })

  it("does not become a standby of what it holds by the word of a copy that may be old", () => {
    const { slice } = sliceThat(true)
    slice.put(held(2))
    slice.begin()
    slice.put(standby(2))
    expect(slice.find("10-0-0-1")?.role).toBe("holder")
    slice.put(standby(3))
    expect(slice.find("10-0-0-1")?.role).toBe("holder")
    slice.whole()
    expect(slice.find("10-0-0-1")).toEqual(standby(3))
  })

  it("does not go back to an older term by the word of a copy that may be old", () => {
    const { slice } = sliceThat(false)
    slice.put(held(5))
    slice.begin()
    slice.put(held(3))
    expect(slice.find("10-0-0-1")?.term).toBe(5)
    slice.whole()
    expect(slice.find("10-0-0-1")?.term).toBe(3)
  })

  it("follows every word once it is whole", () => {
    const { slice, changes } = sliceThat(true)
    slice.whole()
    slice.put(held())
    slice.put(standby(2))
    slice.gone("10-0-0-1")
    expect(changes).toEqual(["10-0-0-1 holder 1", "10-0-0-1 standby 2", "10-0-0-1 gone"])
  })

  it("says nothing when the same is said again", () => {
    const { slice, changes } = sliceThat(true)
    slice.put(held())
    slice.begin()
    slice.put(held())
    slice.whole()
    expect(changes).toHaveLength(1)
  })
})
