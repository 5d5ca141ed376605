import { describe, expect, it } from "vitest"
import { isStateList, readStateList } from "./stateList.ts"

const varint = (value: number): Buffer => {
  const bytes: Array<number> = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    bytes.push(left < 128 ? left : (left & 127) | 128)
    if (left < 128) return Buffer.from(bytes)
  }
}
const bytes = (field: number, value: Buffer | string): Buffer => {
  const content = Buffer.from(value)
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}
const message = (...fields: ReadonlyArray<Buffer>): Buffer => Buffer.concat(fields)

const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)])

const object = (name: string, namespace: string, uid: string, resourceVersion: string): Buffer =>
  bytes(
    1,
    message(
      bytes(1, name),
      bytes(2, "generated"),
      ...(namespace === "" ? [] : [bytes(3, namespace)]),
      bytes(5, uid),
      bytes(6, resourceVersion),
      number(7, 3),
      bytes(8, number(1, 1_760_000_000)),
      bytes(12, "x".repeat(40_000))
    )
  )

const answer = (list: Buffer): Buffer =>
  message(Buffer.from("k8s\0"), bytes(1, message(bytes(1, "meta.k8s.io/v1"))), bytes(2, list), bytes(3, ""))

describe("a list of states", () => {
  it("says which objects there are, in which state, and where the next page begins", () => {
    const list = message(
      bytes(1, message(bytes(2, "4711"), bytes(3, "next"), number(4, 300))),
      bytes(2, object("web", "größe", "uid-1", "42")),
      bytes(2, object("192-168-0-249", "", "uid-2", "43"))
    )
    expect(readStateList(answer(list))).toEqual({
      resourceVersion: "4711",
      token: "next",
      items: [
        { metadata: { name: "web", namespace: "größe", uid: "uid-1", resourceVersion: "42" } },
        { metadata: { name: "192-168-0-249", uid: "uid-2", resourceVersion: "43" } }
      ]
    })
  })

  it("may be empty", () => {
    expect(readStateList(answer(message(bytes(1, message(bytes(2, "1"))))))).toEqual({
      resourceVersion: "1",
      token: "",
      items: []
    })
  })

  it("is not taken for one when it is cut off, says no version, or is something else", () => {
    const list = message(bytes(1, message(bytes(2, "4711"))), bytes(2, object("web", "", "uid-1", "42")))
    const whole = answer(list)
    expect(() => readStateList(whole.subarray(0, whole.length - 20))).toThrow("ends too early")
    expect(() => readStateList(answer(Buffer.alloc(0)))).toThrow("no resource version")
    expect(() => readStateList(Buffer.from("{}"))).toThrow("no protobuf")
  })

  it.each([
    ["application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", true],
    ["application/json", false],
    [undefined, false]
  ])("is what %s says: %s", (contentType, is) => {
    expect(isStateList(contentType)).toBe(is)
  })
})
