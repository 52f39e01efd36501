//! Every code that a problem can have: its status, its title, and what to do about it. The page
//! `/docs/errors` and the error answers in the OpenAPI document are drawn from this table.

use poem::http::StatusCode;

macro_rules! codes {
    ($($name:ident, $code:literal, $status:ident, $title:literal, $remedy:literal;)*) => {
        /// What went wrong, in a form that programs can rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// Stable, snake case: the `code` of a problem.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that always comes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// One sentence without a full stop: the `title` of a problem.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What the caller can do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    InvalidRequest, "invalid_request", BAD_REQUEST, "The request is not valid",
        "Mend what `detail` says; where fields are to blame, `errors` names each of them.";
    SignatureMismatch, "signature_mismatch", BAD_REQUEST, "The webhook's signature does not hold",
        "Check that the endpoint's signing secret is configured here, that nothing between Stripe and here \
         changes the body, and that the clocks of both sides agree to within five minutes.";
    LinkInvalid, "link_invalid", BAD_REQUEST, "The sign-in link is not genuine",
        "Open the link exactly as it stands in the mail, or ask for a new one.";
    CodeWrong, "code_wrong", BAD_REQUEST, "The sign-in code is wrong",
        "Type the eight digits of the newest mail. After five tries a code is used up: open the link, or ask for a \
         new one.";
    Unauthorized, "unauthorized", UNAUTHORIZED, "A bearer token is needed",
        "Send `Authorization: Bearer` with a JWT of a member of the handle, or with an access token (`slc_…`).";
    TokenInvalid, "token_invalid", UNAUTHORIZED, "The bearer token is not accepted",
        "Get a new token: a JWT must be signed with a configured key (HS256 with a shared secret; RS256, ES256 or \
         EdDSA with a key of the JWKS), carry `sub` and `exp`, and fit the configured issuer and audience. An \
         access token must be whole, and not revoked.";
    TokenExpired, "token_expired", UNAUTHORIZED, "The bearer token has expired",
        "Get a new token.";
    NotSignedIn, "not_signed_in", UNAUTHORIZED, "The visitor is not signed in",
        "Sign in with a magic link; the session cookie lasts 30 days.";
    Forbidden, "forbidden", FORBIDDEN, "The caller may not do this",
        "Use a token of somebody whose role on the handle permits it, or an access token with the scope that \
         `detail` names: see \"Who may do what\" in the documentation.";
    FeatureLocked, "feature_locked", FORBIDDEN, "The handle's plan does not include this",
        "`upgrade` names the feature, the smallest plan that has it, and where the owner of the handle subscribes \
         to it. What was sold before stays readable for those who paid.";
    OriginMismatch, "origin_mismatch", FORBIDDEN, "The request comes from another site",
        "Writes with the visitor's cookie are accepted from pages of this origin only.";
    NotFound, "not_found", NOT_FOUND, "There is nothing at this address",
        "Check the address against the documentation at `/docs`.";
    UnknownHandle, "unknown_handle", NOT_FOUND, "There is no such handle",
        "Check the handle, or create it with `POST /v2/handles`.";
    UnknownPage, "unknown_page", NOT_FOUND, "There is no such page",
        "Check the slug. The public sees published pages only.";
    UnknownGroupBuy, "unknown_group_buy", NOT_FOUND, "There is no such group buy",
        "Check the slug. The public sees published group buys only.";
    UnknownOffer, "unknown_offer", NOT_FOUND, "There is no such offer",
        "Look at the list of the handle's offers: the id starts with `offer_`.";
    UnknownCheckout, "unknown_checkout", NOT_FOUND, "There is no such checkout",
        "Visitors see their own checkouts only: sign in as the visitor who asked for it.";
    UnknownRun, "unknown_run", NOT_FOUND, "There is no such run",
        "Runs are shown to the members of their handle and to platform operators.";
    UnknownMember, "unknown_member", NOT_FOUND, "The handle has no such member",
        "Check the subject: it is the `sub` of the member's tokens, percent-encoded.";
    UnknownToken, "unknown_token", NOT_FOUND, "There is no such access token",
        "Look at the list of your tokens: the id starts with `tok_`.";
    UnknownSession, "unknown_session", NOT_FOUND, "There is no such session",
        "Visitors see their own sessions only, and only those that have not ended.";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "The address does not know this method",
        "Check the method against the documentation at `/docs`.";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "The request's body did not arrive in time",
        "Send the request again, with its whole body at once.";
    HandleTaken, "handle_taken", CONFLICT, "The handle is taken",
        "Choose another handle.";
    SlugTaken, "slug_taken", CONFLICT, "The handle has something of this slug",
        "Choose another slug: `detail` says what has it.";
    LastOwner, "last_owner", CONFLICT, "A handle keeps an owner",
        "Make somebody else an owner first.";
    VersionConflict, "version_conflict", CONFLICT, "The page was changed meanwhile",
        "Read the page again and repeat the change on its newest version.";
    ConnectNotReady, "connect_not_ready", CONFLICT, "The creator cannot take payments yet",
        "The creator finishes onboarding: `blockers` says what is missing, until when, and what it prevents.";
    ConnectRejected, "connect_rejected", CONFLICT, "Stripe has rejected the connected account",
        "Stripe does not work with this account any more; the creator may turn to Stripe's support.";
    Superseded, "superseded", CONFLICT, "Another request took its place",
        "Ask again: the newest request of the handle's wins.";
    AlreadySubscribed, "already_subscribed", CONFLICT, "The handle has a subscription",
        "Choose another plan, pay or cancel in the billing portal: `POST /v2/billing/portal-session`.";
    NotSubscribed, "not_subscribed", CONFLICT, "The handle has never subscribed to a plan",
        "Subscribe first: `POST /v2/billing/checkout-session`.";
    PlanNotForSale, "plan_not_for_sale", CONFLICT, "The plan cannot be subscribed to here",
        "Those who run the service configure the plan's price of Stripe's (`SLUICE_PLANS`), or set the plan by hand.";
    PageNotPublished, "page_not_published", CONFLICT, "The page was never published",
        "Publish the page first.";
    NotForSale, "not_for_sale", CONFLICT, "The page needs no checkout",
        "A PUBLIC page is open to everybody: read it.";
    ThresholdNotReached, "threshold_not_reached", CONFLICT, "The group buy has not reached its target",
        "`groupBuy` says how far it is, and where to say that one is interested. Those who are get a mail when it \
         is reached.";
    InterestRequired, "interest_required", CONFLICT, "Only those who are interested may buy",
        "Say that you are interested at the `url` in `groupBuy`, as long as it takes interest, and buy then.";
    InterestClosed, "interest_closed", CONFLICT, "The group buy takes no interest",
        "It has ended, or its deadline has passed: `detail` says which.";
    GroupBuyNotReady, "group_buy_not_ready", CONFLICT, "The group buy cannot be published as it is",
        "`detail` says why; `POST …/preview` says all that is missing.";
    OfferLinked, "offer_linked", CONFLICT, "The page is offered through this group buy already",
        "One offer of a page is linked to a group buy: change that one, or unlink it first.";
    GroupBuyPublished, "group_buy_published", CONFLICT, "The group buy is no draft any more",
        "What was published stays as it is: visitors have seen it. Call it off, and make another one.";
    GroupBuyOver, "group_buy_over", CONFLICT, "The group buy has ended",
        "An end stays: make another group buy.";
    AlreadyEntitled, "already_entitled", CONFLICT, "The visitor has access already",
        "Read the page; nothing has to be paid.";
    PaymentProcessing, "payment_processing", CONFLICT, "A payment for this page is on its way",
        "The bank is still sending the money of an earlier checkout: wait until it succeeds or fails.";
    NotPaid, "not_paid", CONFLICT, "There is nothing to give back",
        "Nothing was paid for this purchase, or not yet: look at its status, and ask again once it is `SETTLED`.";
    DisputeOpen, "dispute_open", CONFLICT, "The buyer's bank disputes the payment",
        "While a dispute is open nothing can be refunded: answer it in Stripe's dashboard, or accept it there.";
    RefundExceedsRefundable, "refund_exceeds_refundable", CONFLICT, "More was asked for than is left",
        "`detail` says how much can still be given back; refunds that are under way count as given back.";
    PreviewStale, "preview_stale", CONFLICT, "The purchase has changed since the preview",
        "Ask for a preview again, and look at it: another refund or a dispute came in between, or ten minutes \
         have passed.";
    IdempotencyInProgress, "idempotency_in_progress", CONFLICT, "The first request with this key is running",
        "Wait as long as `Retry-After` says, then send the same request again.";
    LinkUsed, "link_used", GONE, "The sign-in link was used before",
        "A link signs in once: ask for a new one.";
    LinkExpired, "link_expired", GONE, "The sign-in link is no longer good",
        "A link is good for 15 minutes: ask for a new one.";
    TooLarge, "too_large", PAYLOAD_TOO_LARGE, "The request's body is too large",
        "Send at most 256 KiB (1 MiB to the webhook routes).";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body's media type is not known here",
        "Send JSON with `Content-Type: application/json`.";
    PriceTooLow, "price_too_low", UNPROCESSABLE_ENTITY, "The price leaves the creator nothing",
        "Raise the price to at least the minimum that `detail` names.";
    IdempotencyMismatch, "idempotency_mismatch", UNPROCESSABLE_ENTITY, "The key was used for another request",
        "An `Idempotency-Key` belongs to one request: choose a new key for a new one.";
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "Wait as long as `Retry-After` says.";
    DailyLimit, "daily_limit", TOO_MANY_REQUESTS, "The plan's writes of the day are used up",
        "Wait until midnight (UTC), as long as `Retry-After` says, or upgrade: `upgrade` names the plan that allows \
         more, and where to subscribe to it.";
    Internal, "internal", INTERNAL_SERVER_ERROR, "Something is wrong here",
        "The fault is ours. Quote the `requestId` when you report it.";
    StripeRefused, "stripe_refused", BAD_GATEWAY, "Stripe refused the request",
        "`detail` says what Stripe answered. Nothing was charged.";
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "The service is not available right now",
        "Nothing was lost: wait as long as `Retry-After` says and send the request again.";
}
