/**
 * What can go wrong with a server of tools. `fenced`: its address may not be connected to. `stuck`: it did not answer in time. `refused`: with a
 * status of HTTP. `failed`: with an error of JSON-RPC.
 */
export type McpFaultCode =
  | 'unreachable'
  | 'fenced'
  | 'stuck'
  | 'too_large'
  | 'nonsense'
  | 'flood'
  | 'refused'
  | 'redirected'
  | 'gone'
  | 'busy'
  | 'failed';

/** Why something could not be had from a server of tools. The message is ours, but for `failed`, which the server words. */
export class McpFault extends Error {
  readonly code: McpFaultCode;
  /** Of HTTP (`refused`, `redirected`) or of JSON-RPC (`failed`). */
  readonly status: number | undefined;

  constructor(code: McpFaultCode, message: string, options?: { readonly status?: number | undefined; readonly cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'McpFault';
    this.code = code;
    this.status = options?.status;
  }
}
