import { z } from 'zod';
import { LEAST_WEBHOOK_SECRET, signedUrl } from './routes.ts';
import { maskedSecret, type SecretValue } from './secrets.ts';
import { whole } from './whole-number.ts';

/** The `alerts:` section: who is told when a cap or a guard trips. The log and the metrics always are. */
export const alerts = z.strictObject(
  { webhook: signedUrl.optional(), every: whole(1, 86_400).default(60) },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with webhook and every' : undefined) },
);

export type AlertsValues = z.output<typeof alerts>;

export interface AlertsConfig {
  readonly webhook?: { readonly url: string; readonly secrets: readonly string[] };
  readonly everyMs: number;
}

export function alertsOf(
  { webhook, every }: AlertsValues,
  secret: (value: SecretValue, path: readonly PropertyKey[], least: number) => string,
): AlertsConfig {
  const secrets = webhook?.secrets.map((each, at) => secret(each, ['webhook', 'secrets', at], LEAST_WEBHOOK_SECRET)) ?? [];
  return { everyMs: every * 1000, ...(webhook && { webhook: { url: webhook.url, secrets } }) };
}

export function shownAlerts({ webhook, every }: AlertsValues): unknown {
  return { ...(webhook && { webhook: { ...webhook, secrets: webhook.secrets.map(maskedSecret) } }), every };
}
