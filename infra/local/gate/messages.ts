/** What the gate's two processes, and who started them, say to each other. `id` pairs an answer with its question. */
export type ToOutside =
  | {
      /** Who connects to `10.78.0.1:port` inside is connected to `to` outside. */
      readonly tag: "let out"
      readonly id: number
      readonly port: number
      readonly to: { readonly host: string; readonly port: number }
    }
  | {
      /** Who connects to the port of 127.0.0.1 that is answered is connected to `127.0.0.1:port` in that namespace. */
      readonly tag: "let in"
      readonly id: number
      readonly host: string
      readonly port: number
    }
  /** Where the host's namespace is now: a path as in `/proc/1234/ns/net`. */
  | { readonly tag: "host"; readonly host: string; readonly path: string }

export type FromOutside =
  | { readonly tag: "done"; readonly id: number; readonly port: number }
  | { readonly tag: "failed"; readonly id: number; readonly reason: string }

export type ToInside =
  | { readonly tag: "listen"; readonly id: number; readonly address: string; readonly port: number }
  /** With the listening socket. */
  | { readonly tag: "serve"; readonly host: string; readonly port: number }
  | { readonly tag: "host"; readonly host: string; readonly path: string }

/** With the listening socket, unless it failed. */
export type FromInside = { readonly id: number; readonly failed?: string }
