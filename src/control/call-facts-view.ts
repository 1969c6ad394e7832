import type { CallFacts } from '../leg/call-facts.ts';

/** What an INVITE says of its call, as programs read it. */
export function callFactsView(facts: CallFacts): unknown {
  const { trunk, user, caller, called, displayName, asserted, isPrivate, originalCalled, diversions, userToUser, headers, stir } = facts;
  return {
    caller,
    called,
    trunk,
    user,
    display_name: displayName,
    asserted,
    private: isPrivate,
    original_called: originalCalled,
    diverted_by: diversions?.[0]?.number,
    diversions: diversions?.map(({ number, reason }) => ({ number, reason })),
    user_to_user: userToUser,
    stir: stir && { verstat: stir.verstat, attest: stir.attest, origid: stir.origid, by: stir.by, reason: stir.reason },
    headers: headers && Object.fromEntries(headers.map(({ name, value }) => [name, value])),
  };
}
