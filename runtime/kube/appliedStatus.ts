import { isRecord, type Json } from "./mergePatch.ts"

interface Typed {
  readonly type: string
}

/** What a field manager has applied to the status of one object. */
interface Applied {
  /** The fields of `status`, but for `conditions`. */
  readonly fields: ReadonlyArray<string>
  /** The types of the conditions. */
  readonly conditions: ReadonlyArray<string>
}

const nothing: Applied = { fields: [], conditions: [] }

/**
 * Server-side apply, as far as `status` needs it: fields are owned whole, conditions one by one. What a manager leaves
 * out that it had applied before is removed, unless another one applies it too.
 */
export class AppliedStatus {
  /** Uid of an object → field manager → what it has applied. */
  readonly #applied = new Map<string, Map<string, Applied>>()

  /** The status that results. */
  apply(uid: string, manager: string, before: unknown, status: Json): Json {
    const { conditions = [], ...fields } = status
    const mine = conditions as ReadonlyArray<Typed>
    const managers = this.#applied.get(uid) ?? new Map<string, Applied>()
    const had = managers.get(manager) ?? nothing
    const has = { fields: Object.keys(fields), conditions: mine.map(({ type }) => type) }
    this.#applied.set(uid, managers.set(manager, has))
    const owned = [...managers.values()]
    const old: Json = isRecord(before) ? { ...before } : {}
    for (const field of had.fields) if (!owned.some((one) => one.fields.includes(field))) delete old[field]
    const present = (old["conditions"] ?? []) as ReadonlyArray<Typed>
    const left = present.flatMap((one) => {
      if (has.conditions.includes(one.type)) return mine.filter(({ type }) => type === one.type)
      const isDropped = had.conditions.includes(one.type)
      return isDropped && !owned.some((other) => other.conditions.includes(one.type)) ? [] : [one]
    })
    const added = mine.filter(({ type }) => !present.some((one) => one.type === type))
    const all = [...left, ...added]
    delete old["conditions"]
    return { ...old, ...fields, ...(all.length === 0 ? {} : { conditions: all }) }
  }
}
