import { createHmac } from 'node:crypto';

/** What is signed (Standard Webhooks 1.0). */
export interface SignedParts {
  readonly id: string;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly body: string;
}

/** One signature for each secret, so that a receiver may change over from the old to the new one: `v1,<base64> v1,<base64>`. */
export function signWebhook({ id, timestamp, body }: SignedParts, secrets: readonly string[]): string {
  const text = `${id}.${timestamp}.${body}`;
  return secrets.map((secret) => `v1,${createHmac('sha256', keyOf(secret)).update(text).digest('base64')}`).join(' ');
}

/** `whsec_` and base64, or a text that is the key itself. */
function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret, 'utf8');
}
