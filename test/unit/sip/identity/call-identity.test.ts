import { describe, expect, test } from 'vitest';
import { type IdentifiedCall, identifyCall } from '../../../../src/sip/identity/call-identity.ts';
import type { IdentityFinding, VerifiedCall } from '../../../../src/sip/identity/identity-verifier.ts';
import type { StirPolicy } from '../../../../src/sip/identity/stir.ts';
import { withoutVerstat } from '../../../../src/sip/identity/without-verstat.ts';
import type { Trunk } from '../../../../src/sip/trunk.ts';

const PASSED: IdentityFinding = { type: 'passed', attest: 'A', origid: 'x', tried: [] };
const fault = (status: 403 | 428 | 436 | 437 | 438 | 503): IdentityFinding => ({
  type: 'failed',
  fault: { step: 'certificate', status, why: 'because' },
  tried: [{ rule: 'stir.certificate', matched: false, why: 'because' }],
});

interface Given {
  readonly stir?: StirPolicy;
  readonly from?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly caller?: IdentifiedCall['invite']['caller'];
}

function call({ stir, from = 'sip:+1555@x', headers = [], caller = { type: 'trunk', name: 'carrier' } }: Given): IdentifiedCall {
  return {
    invite: {
      caller,
      from,
      to: 'sip:+1556@y',
      requestUri: 'sip:agent@y',
      source: { address: '192.0.2.1', port: 5060, transport: 'udp' },
      headers: headers.map(([name, value]) => ({ name, value })),
    },
    trunk:
      caller?.type === 'trunk' ? ({ name: 'carrier', at: () => 'ringdown.yaml:7', ...(stir && { stir }) } as unknown as Trunk) : undefined,
    facts: { caller: '+1555', called: 'agent' },
  };
}

function judged(given: Given, finding: IdentityFinding = PASSED, policy: 'off' | 'report' | 'require' = 'off') {
  const asked: VerifiedCall[] = [];
  const verifier = {
    verify: (each: VerifiedCall) => {
      asked.push(each);
      return finding;
    },
  };
  return { verdict: identifyCall(call(given), { verifier, policy, at: 'ringdown.yaml:2' }), asked };
}

describe('what is done about who calls', () => {
  test('by default nothing: nobody is asked, and nothing is said', () => {
    expect(judged({})).toEqual({ verdict: undefined, asked: [] });
    expect(judged({ caller: { type: 'stranger' } }).asked).toEqual([]);
    expect(judged({ stir: 'off' }, PASSED, 'require').asked).toEqual([]);
    // A user has shown a password.
    expect(judged({ caller: { type: 'user', name: 'ann' } }, PASSED, 'require').asked).toEqual([]);
  });

  test('report tells what was found and lets everybody in', () => {
    expect(judged({ stir: 'report' }).verdict).toEqual({
      identity: { verstat: 'TN-Validation-Passed', by: 'gateway', attest: 'A', origid: 'x' },
      tried: [{ rule: 'trunks.carrier.stir', at: 'ringdown.yaml:7', matched: true, why: 'verified, attestation A' }],
    });
    for (const [status, verstat] of [
      [403, 'TN-Validation-Failed'],
      [428, 'No-TN-Validation'],
      [436, 'No-TN-Validation'],
      [437, 'TN-Validation-Failed'],
      [438, 'TN-Validation-Failed'],
      [503, 'No-TN-Validation'],
    ] as const) {
      const { verdict } = judged({ caller: { type: 'stranger' } }, fault(status), 'report');
      expect(verdict).toMatchObject({ identity: { verstat, by: 'gateway', reason: 'because' } });
      expect(verdict).not.toHaveProperty('refusal');
    }
  });

  test('require refuses with the status and the words of RFC 8224, and names the rule and its line', () => {
    const words = [
      [403, 'Stale Date'],
      [428, 'Use Identity Header'],
      [436, 'Bad Identity Info'],
      [437, 'Unsupported Credential'],
      [438, 'Invalid Identity Header'],
    ] as const;
    for (const [status, reason] of words) {
      expect(judged({ stir: 'require' }, fault(status)).verdict).toMatchObject({
        refusal: { status, reason, detail: 'not verified (STIR): because' },
        tried: [
          { rule: 'stir.certificate', matched: false },
          { rule: 'trunks.carrier.stir', at: 'ringdown.yaml:7', matched: false },
        ],
      });
    }
    expect(judged({}, fault(428), 'require').verdict).toMatchObject({
      tried: [{}, { rule: 'stir.policy', at: 'ringdown.yaml:2', matched: false }],
    });
  });

  test('the number that is verified is the one that programs are told: of a trunk the asserted one', () => {
    const headers = [
      ['P-Asserted-Identity', '"A" <sip:+1777@x>'],
      ['Identity', 'a.b.c'],
      ['identity', 'd.e.f'],
      ['Date', 'now'],
    ] as const;
    expect(judged({ stir: 'report', headers }).asked).toMatchObject([
      {
        caller: 'sip:+1777@x',
        identities: ['a.b.c', 'd.e.f'],
        date: 'now',
        source: 'trunk carrier',
        called: ['sip:+1556@y', 'sip:agent@y'],
      },
    ]);
    const { asked } = judged({ headers, caller: { type: 'stranger' } }, PASSED, 'report');
    expect(asked).toMatchObject([{ caller: 'sip:+1555@x', source: '192.0.2.1' }]);
  });

  test.each<[string, Given, object]>([
    ['in the user part', { from: 'sip:+1555;verstat=TN-Validation-Passed@x' }, { verstat: 'TN-Validation-Passed' }],
    ['in a tel: URI', { from: 'tel:+1555;verstat=tn-validation-failed' }, { verstat: 'TN-Validation-Failed' }],
    ['with its level', { from: 'tel:+1555;verstat=TN-Validation-Passed-B' }, { verstat: 'TN-Validation-Passed', attest: 'B' }],
    [
      'in P-Asserted-Identity, which counts',
      { headers: [['P-Asserted-Identity', '<tel:+1;verstat=No-TN-Validation>']], from: 'tel:+1;verstat=TN-Validation-Passed' },
      { verstat: 'No-TN-Validation' },
    ],
    [
      'with where it came from',
      {
        from: 'tel:+1;verstat=TN-Validation-Passed',
        headers: [
          ['P-Attestation-Indicator', 'c'],
          ['P-Origination-ID', 'abc'],
        ],
      },
      { verstat: 'TN-Validation-Passed', attest: 'C', origid: 'abc' },
    ],
    ['as nonsense', { from: 'tel:+1;verstat=Yes' }, { verstat: 'No-TN-Validation' }],
    ['in the host', { from: 'sip:+1@x;verstat=TN-Validation-Passed' }, { verstat: 'TN-Validation-Passed' }],
  ])('trust reads what the trunk has found: %s', (_, given, expected) => {
    const { verdict, asked } = judged({ ...given, stir: 'trust' });
    expect(verdict).toMatchObject({ identity: { by: 'trunk', ...expected }, tried: [{ rule: 'trunks.carrier.stir', matched: true }] });
    expect(asked).toEqual([]);
  });

  test('what others claim to have been found is taken out of the header fields', () => {
    const fields = [
      ['From', '"A;verstat=x" <sip:+1555;verstat=TN-Validation-Passed;a=b@x;VERSTAT=y>;tag=1'],
      ['P-Attestation-Indicator', 'A'],
      ['P-Origination-ID', 'x'],
      ['X-Tenant', 'shop'],
    ].map(([name = '', value = '']) => ({ name, value }));
    expect(withoutVerstat(fields)).toEqual([
      { name: 'From', value: '"A" <sip:+1555;a=b@x>;tag=1' },
      { name: 'X-Tenant', value: 'shop' },
    ]);
  });
});
