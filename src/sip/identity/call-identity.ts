import type { RuleTried } from '../../base/rule-tried.ts';
import type { InboundCall } from '../engine.ts';
import { callerUri, type InviteFacts } from '../read-call-facts.ts';
import type { Trunk } from '../trunk.ts';
import { IDENTITY_REASONS, type IdentityFault } from './identity-fault.ts';
import type { IdentityFinding, IdentityVerifier } from './identity-verifier.ts';
import type { CallIdentity, StirPolicy, Verstat } from './stir.ts';

export interface IdentityVerdict {
  readonly identity: CallIdentity;
  readonly tried: readonly RuleTried[];
  /** The call is not to come in. */
  readonly refusal?: { readonly status: number; readonly reason: string; readonly detail: string };
}

/** A call that has come in, and by whom. */
export interface IdentifiedCall {
  readonly invite: Pick<InboundCall, 'caller' | 'from' | 'to' | 'requestUri' | 'headers' | 'source'>;
  readonly trunk: Trunk | undefined;
  /** Numbers by the trunk's rules. */
  readonly facts: InviteFacts;
}

/** @property policy of trunks that have none of their own, and of strangers */
export interface IdentityRules {
  readonly verifier: Pick<IdentityVerifier, 'verify'>;
  readonly policy: Exclude<StirPolicy, 'trust'>;
  /** Where it stands in the configuration. */
  readonly at?: string;
}

/** What is done about this call, and by which rule. Users have shown a password, and are not asked. */
function stirPolicyOf(call: IdentifiedCall, rules: Pick<IdentityRules, 'policy'>): StirPolicy {
  if (call.invite.caller?.type === 'user') return 'off';
  return call.trunk?.stir ?? rules.policy;
}

/** Who calls, as far as it can be known; undefined where nobody wants to. At once when nothing has to be fetched. */
export function identifyCall(call: IdentifiedCall, rules: IdentityRules): IdentityVerdict | Promise<IdentityVerdict> | undefined {
  const policy = stirPolicyOf(call, rules);
  if (policy === 'off') return undefined;
  if (policy === 'trust') return trusted(call);
  const { invite, trunk, facts } = call;
  const headers = invite.headers ?? [];
  const finding = rules.verifier.verify({
    identities: valuesOf(headers, 'identity'),
    source: trunk ? `trunk ${trunk.name}` : invite.source.address,
    caller: callerUri({ ...invite, headers }, trunk !== undefined),
    called: [invite.to, invite.requestUri],
    callerNumber: facts.caller,
    calledNumber: facts.called,
    date: valuesOf(headers, 'date')[0],
  });
  const judged = (found: IdentityFinding): IdentityVerdict => judge(found, policy, ruleOf(call, rules));
  return finding instanceof Promise ? finding.then(judged) : judged(finding);
}

type Rule = Pick<RuleTried, 'rule' | 'at'>;

function judge(finding: IdentityFinding, policy: 'report' | 'require', rule: Rule): IdentityVerdict {
  if (finding.type === 'passed') {
    const { attest, origid, tried } = finding;
    const identity = { verstat: 'TN-Validation-Passed', by: 'gateway', ...(attest && { attest }), ...(origid && { origid }) } as const;
    return { identity, tried: [...tried, { ...rule, matched: true, why: attest ? `verified, attestation ${attest}` : 'verified' }] };
  }
  const { fault } = finding;
  const identity = { verstat: verstatOf(fault), by: 'gateway', reason: fault.why } as const;
  const isRefused = policy === 'require';
  // In the order of cause and effect: what was wrong is the first thing that did not match.
  const tried = [
    ...finding.tried,
    { ...rule, matched: !isRefused, why: isRefused ? `${policy}: not verified` : `${policy}: let in all the same` },
  ];
  if (!isRefused) return { identity, tried };
  const detail = `not verified (STIR): ${fault.why}`;
  return { identity, tried, refusal: { status: fault.status, reason: IDENTITY_REASONS[fault.status], detail } };
}

/** Nothing to look at, or nobody could look: not validated. Looked at and wrong: failed. */
function verstatOf({ status }: IdentityFault): Verstat {
  return status === 428 || status === 436 || status === 503 ? 'No-TN-Validation' : 'TN-Validation-Failed';
}

function ruleOf({ trunk }: IdentifiedCall, { at: globalAt }: IdentityRules): Rule {
  const at = trunk?.stir === undefined ? globalAt : trunk.at?.('stir');
  return { rule: trunk?.stir === undefined ? 'stir.policy' : `trunks.${trunk.name}.stir`, ...(at === undefined ? {} : { at }) };
}

const VERSTAT = /;verstat=([A-Za-z-]{1,32})(?=[;@]|$)/i;
const VERSTATS: readonly Verstat[] = ['TN-Validation-Passed', 'TN-Validation-Failed', 'No-TN-Validation'];
/** 3GPP TS 24.229 §7.2A.20 allows what a network adds, as in `TN-Validation-Passed-A`. */
const WITH_LEVEL = /^(TN-Validation-Passed)-([ABC])$/i;
const ORIGID = /^[\x21-\x7e]{1,64}$/;

/** What the trunk's own network has found, as it stands in the URI that the caller's number is taken from. */
function trusted({ invite, trunk }: IdentifiedCall): IdentityVerdict {
  const headers = invite.headers ?? [];
  const said = VERSTAT.exec(callerUri({ ...invite, headers }, true))?.[1] ?? '';
  const [, plain = said, level] = WITH_LEVEL.exec(said) ?? [];
  const verstat = VERSTATS.find((each) => each.toLowerCase() === plain.toLowerCase()) ?? 'No-TN-Validation';
  const attest = (level ?? valuesOf(headers, 'p-attestation-indicator')[0]?.trim())?.toUpperCase();
  const origid = valuesOf(headers, 'p-origination-id')[0]?.trim();
  const identity: CallIdentity = {
    verstat,
    by: 'trunk',
    ...(attest === 'A' || attest === 'B' || attest === 'C' ? { attest } : {}),
    ...(origid !== undefined && ORIGID.test(origid) ? { origid } : {}),
  };
  const at = trunk?.at?.('stir');
  const rule = { rule: `trunks.${trunk?.name}.stir`, ...(at === undefined ? {} : { at }), matched: true, why: `trust: ${verstat}` };
  return { identity, tried: [rule] };
}

interface Field {
  readonly name: string;
  readonly value: string;
}

function valuesOf(headers: readonly Field[], name: string): string[] {
  return headers.filter((each) => each.name.toLowerCase() === name).map(({ value }) => value);
}
