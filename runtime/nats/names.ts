import type { KindId, Ref } from "../Kind.ts"
import type { Verb } from "../Trigger.ts"

/**
 * One token of a subject: `.` becomes `_`, and everything else outside `[A-Za-z0-9-]` becomes `=XX` (UTF-8, hex).
 * `untoken` reads it back. Node names with dots are the common case, so those stay readable.
 */
export const token = (text: string): string => {
  if (/^[A-Za-z0-9-]*$/.test(text)) return text
  let result = ""
  for (const byte of Buffer.from(text, "utf8")) {
    const char = String.fromCharCode(byte)
    result += /[A-Za-z0-9-]/.test(char)
      ? char
      : char === "."
        ? "_"
        : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }
  return result
}

export const untoken = (text: string): string => {
  // Nearly all of them.
  if (!text.includes("=")) return text.includes("_") ? text.replaceAll("_", ".") : text
  const bytes: Array<number> = []
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (char === "=") {
      bytes.push(Number.parseInt(text.slice(i + 1, i + 3), 16))
      i += 2
    } else bytes.push(char === "_" ? 0x2e : char.charCodeAt(0))
  }
  return Buffer.from(bytes).toString("utf8")
}

/** `<group>.<resource>`; the core group is `core`. */
export const resourceToken = (kind: KindId): string =>
  `${kind.group === "" ? "core" : token(kind.group)}.${token(kind.plural)}`

/** `<group>.<resource>.<namespace>.<name>`: the object's key in the bucket `kube`. No namespace is `_`. */
export const objectToken = (kind: KindId, ref: Ref): string =>
  `${resourceToken(kind)}.${ref.namespace === "" ? "_" : token(ref.namespace)}.${token(ref.name)}`

/** `kube.<group>.<resource>.<namespace>.<name>.<verb>` */
export const eventSubject = (kind: KindId, ref: Ref, verb: Verb): string =>
  `kube.${objectToken(kind, ref)}.${verb}`

/** All events of one object, whatever the verb. */
export const objectSubjects = (kind: KindId, ref: Ref): string => `kube.${objectToken(kind, ref)}.*`

/** All events of a resource, or those of one verb. */
export const resourceSubjects = (kind: KindId, verb?: Verb): string =>
  `kube.${resourceToken(kind)}.${verb === undefined ? ">" : `*.*.${verb}`}`

export const tickSubject = (functionName: string): string => `kube.tick.${functionName}`

/** Wakes one function for one object: `kube.wake.<function>.<group>.<resource>.<namespace>.<name>`. */
export const wakeSubject = (functionName: string, kind: KindId, ref: Ref): string =>
  `kube.wake.${functionName}.${objectToken(kind, ref)}`

/** Published again and again for a function that follows the fleet: whom the server gives it is the active host. */
export const activeSubject = (functionName: string): string => `kube.wake.${functionName}.active`

/** Every wake-up of one function. */
export const wakeSubjects = (functionName: string): string => `kube.wake.${functionName}.>`

/** Reads a wake-up's subject back; `undefined` for everything else. */
export const parseWake = (subject: string): { readonly resource: string; readonly ref: Ref } | undefined => {
  const parts = subject.split(".")
  if (parts.length !== 7 || parts[1] !== "wake") return undefined
  return parseSubject(`kube.${parts.slice(3).join(".")}.added`)
}

/** What a subject of the event log names. */
export interface ParsedSubject {
  readonly resource: string
  readonly ref: Ref
  readonly verb: Verb
}

/** Reads an event subject back; `undefined` for ticks and for what is none of ours. */
export const parseSubject = (subject: string): ParsedSubject | undefined => {
  const parts = subject.split(".")
  if (parts.length !== 6 || parts[0] !== "kube") return undefined
  const [, group, plural, namespace, name, verb] = parts
  return {
    resource: `${group}.${plural}`,
    ref: { namespace: namespace === "_" ? "" : untoken(namespace!), name: untoken(name!) },
    verb: verb as Verb
  }
}
