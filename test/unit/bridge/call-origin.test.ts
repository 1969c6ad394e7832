import { expect, test } from 'vitest';
import { originOf } from '../../../src/bridge/call-origin.ts';
import type { LegPolicy } from '../../../src/leg/leg.ts';
import type { InboundCall } from '../../../src/sip/engine.ts';

const ASKED = { decide: { by: 'api' } } as unknown as LegPolicy;
const headers = [
  { name: 'P-Asserted-Identity', value: '<sip:+15550100@x;verstat=TN-Validation-Passed>' },
  { name: 'P-Attestation-Indicator', value: 'A' },
  { name: 'X-Tenant', value: 'blue' },
];
const invite = { from: 'sip:+15550100@x', requestUri: 'sip:agent@y', sipCallId: 'abc', headers } as unknown as InboundCall;

function origin(policy: LegPolicy | undefined, by?: 'trunk' | 'gateway') {
  const stir = by && ({ verstat: 'TN-Validation-Passed', by } as const);
  const facts = { caller: '+15550100', called: 'agent', ...(stir && { stir }) };
  return originOf(invite, { dialled: undefined, policy, facts, callBack: undefined });
}

test.each([undefined, 'gateway'] as const)(
  'who is asked about a call does not get a finding that the caller wrote itself (looked: %s)',
  (by) => {
    expect(origin(ASKED, by)).toMatchObject({
      kind: 'phone',
      headers: [
        { name: 'P-Asserted-Identity', value: '<sip:+15550100@x>' },
        { name: 'X-Tenant', value: 'blue' },
      ],
    });
  },
);

test('what a trusted trunk has found is passed on', () => {
  expect(origin(ASKED, 'trunk')).toMatchObject({ headers });
});

test('who is not asked gets no header fields', () => {
  expect(origin(undefined, 'trunk')).not.toHaveProperty('headers');
});
