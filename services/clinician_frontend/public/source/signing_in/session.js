/**
 * Who is signed in: OpenID Connect, authorization code with PKCE (RFC 9700), by a kept library. Tokens are in the memory
 * of this page alone; what survives a reload is the identity provider's own session.
 */

import { signal } from "@preact/signals";
import * as oauth from "oauth4webapi";

import { configuration } from "../configuration.js";

const RENEW_BEFORE_S = 60;
const PENDING = "radrelay.signing-in";
const WHY = "radrelay.signed-out";

/** `{user, tenant, roles}` of whoever is signed in, or null. */
export const account = signal(null);
/** Why nobody is signed in, in words, or null. */
export const signedOutBecause = signal(null);

/** Nobody is signed in, so that there is no token. */
export class SignedOut extends Error {
  constructor() {
    super("You are signed in no longer.");
    this.name = "SignedOut";
  }
}

let provider = null;
let tokens = null;
let renewing = null;
let renewTimer = null;

const client = () => ({ client_id: configuration().client_id });
const redirectUri = () => `${location.origin}/signed-in`;

/** Come back from the identity provider, or see whether it knows the browser; returns once that is clear. */
export async function startSession() {
  signedOutBecause.value = WORDS[take(WHY)] ?? null;
  provider = await discover();
  if (location.pathname === "/signed-in") {
    const pending = JSON.parse(take(PENDING) ?? "null");
    await complete(pending);
    history.replaceState(null, "", pending?.path ?? "/");
  } else if (!signedOutBecause.value) {
    await signIn({ silently: true });
  }
}

/** Go to the identity provider. Silently means that it may not ask anything. */
export async function signIn({ silently = false } = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const path = location.pathname === "/signed-in" ? "/" : location.pathname + location.search;
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, nonce, path }));
  const address = new URL(provider.authorization_endpoint);
  const parameters = {
    client_id: client().client_id,
    redirect_uri: redirectUri(),
    response_type: "code",
    scope: configuration().scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...(silently ? { prompt: "none" } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  location.assign(address);
  await new Promise(() => {}); // the page is left
}

/** End the session here and at the identity provider. `why` is `idle` or `asked`. */
export function signOut(why = "asked") {
  const hint = tokens?.id_token;
  forget();
  sessionStorage.setItem(WHY, why);
  if (!provider.end_session_endpoint) {
    signedOutBecause.value = WORDS[take(WHY)];
    return;
  }
  const address = new URL(provider.end_session_endpoint);
  if (hint) address.searchParams.set("id_token_hint", hint);
  address.searchParams.set("client_id", client().client_id);
  address.searchParams.set("post_logout_redirect_uri", `${location.origin}/`);
  location.assign(address);
}

/** A token that is valid for a while yet. Throws SignedOut. */
export async function accessToken() {
  if (tokens === null) throw new SignedOut();
  if (tokens.expiresAt - Date.now() < 1000 * Math.min(RENEW_BEFORE_S / 2, tokens.lifetimeS / 4)) await renew();
  if (tokens === null) throw new SignedOut();
  return tokens.access_token;
}

/** A service did not take the token: whether there is another one now. */
export async function tokenWasRefused() {
  await renew();
  return tokens !== null;
}

/** Whether who is signed in administers the tenant. */
export function isAdministrator() {
  return account.value?.roles.includes("tenant_admin") ?? false;
}

async function discover() {
  const issuer = new URL(configuration().issuer);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...transport(issuer) });
  return oauth.processDiscoveryResponse(issuer, answer);
}

async function complete(pending) {
  if (pending === null) {
    signedOutBecause.value = WORDS.unexpected;
    return;
  }
  try {
    const parameters = oauth.validateAuthResponse(provider, client(), new URL(location.href), pending.state);
    const answer = await oauth.authorizationCodeGrantRequest(
      provider, client(), oauth.None(), parameters, redirectUri(), pending.verifier, transport(provider.issuer),
    );
    const checks = { expectedNonce: pending.nonce, requireIdToken: true };
    keep(await oauth.processAuthorizationCodeResponse(provider, client(), answer, checks));
  } catch (error) {
    const asked = ["login_required", "interaction_required", "consent_required"].includes(error.error);
    signedOutBecause.value = asked ? "" : `${WORDS.failed} (${error.error ?? error.message})`;
  }
}

function renew() {
  renewing ??= renewNow().finally(() => (renewing = null));
  return renewing;
}

async function renewNow() {
  if (!tokens?.refresh_token) return end("expired");
  try {
    const answer = await oauth.refreshTokenGrantRequest(
      provider, client(), oauth.None(), tokens.refresh_token, transport(provider.issuer),
    );
    keep(await oauth.processRefreshTokenResponse(provider, client(), answer));
  } catch (error) {
    if (error instanceof TypeError) throw error; // no network: the token is asked for again with the next request
    end("expired");
  }
}

function keep(granted) {
  const claims = oauth.getValidatedIdTokenClaims(granted);
  const lifetimeS = granted.expires_in ?? 300;
  // What a renewal does not bring anew, such as the ID token, stays.
  tokens = { ...tokens, ...granted, lifetimeS, expiresAt: Date.now() + 1000 * lifetimeS };
  if (claims) account.value = { user: claims.sub, tenant: claims.tenant, roles: claims.roles ?? [] };
  signedOutBecause.value = null;
  clearTimeout(renewTimer);
  const waitS = Math.max(1, lifetimeS - Math.min(RENEW_BEFORE_S, lifetimeS / 2));
  renewTimer = setTimeout(() => renew().catch(() => {}), 1000 * waitS); // tried again by the next request
}

function end(why) {
  forget();
  signedOutBecause.value = WORDS[why];
}

function forget() {
  clearTimeout(renewTimer);
  tokens = null;
  account.value = null;
}

function transport(issuer) {
  return new URL(issuer).protocol === "http:" ? { [oauth.allowInsecureRequests]: true } : {};
}

function take(key) {
  const value = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  return value;
}

const WORDS = {
  idle: "You were signed out because nothing was done for a while.",
  asked: "You are signed out.",
  expired: "Your session has ended. Sign in again to go on where you were.",
  unexpected: "That was no answer to a question of this page. Sign in again.",
  failed: "Signing in did not work.",
};
