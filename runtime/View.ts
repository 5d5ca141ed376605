import type { Kind, KubeObject, Ref } from "./Kind.ts"

/** One change of one object of the view. `before` is `undefined` for a new object, `after` for one that is gone. */
export interface Change<A extends KubeObject = KubeObject> {
  readonly kind: Kind<any>
  readonly key: string
  readonly before: A | undefined
  readonly after: A | undefined
}

/** State derived from the view, kept up to date change by change, so that a query costs the same however many objects there are. */
export interface Index<S> {
  /** One of its own among all functions of a host. */
  readonly name: string
  /** The kinds that it is derived from; a function that uses it must declare that it reads them. */
  readonly reads: ReadonlyArray<Kind<any>>
  readonly make: () => { readonly state: S; readonly apply: (change: Change) => void }
}

export const defineIndex = <S>(index: Index<S>): Index<S> => index

/**
 * The present state of the world, in memory: hydrated from NATS, as new as the newest event that this process has
 * seen and as its own writes. Reading it puts no load on the API server.
 */
export interface View {
  /** The present state, or `undefined`. */
  readonly find: <A extends KubeObject>(kind: Kind<A>, ref: Ref) => A | undefined
  /** All objects of a kind, in no particular order. */
  readonly list: <A extends KubeObject>(kind: Kind<A>) => Iterable<A>
  /** The state of a derived index. */
  readonly index: <S>(index: Index<S>) => S
}
