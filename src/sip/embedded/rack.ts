import type { HeaderFields } from './header-fields.ts';

/** What a PRACK acknowledges (RFC 3262 §7.2). */
export interface RAck {
  readonly rseq: number;
  readonly cseq: number;
  readonly method: string;
}

const RACK = /^(\d{1,10})[ \t]+(\d{1,10})[ \t]+([!%'*+.0-9A-Z_`a-z~-]+)$/;

/** Undefined when it is absent or malformed. */
export function readRAck(headers: HeaderFields): RAck | undefined {
  const [, rseq, cseq, method] = RACK.exec(headers.first('rack') ?? '') ?? [];
  if (rseq === undefined || cseq === undefined || method === undefined || headers.count('rack') > 1) return undefined;
  return { rseq: Number(rseq), cseq: Number(cseq), method };
}
