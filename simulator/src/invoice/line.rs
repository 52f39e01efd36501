//! The lines of an invoice (<https://docs.stripe.com/api/invoice-line-item>).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Invoice;
use crate::money;
use crate::state::State;
use crate::subscription::Item;

/// One price for one period, or the part of it that a change in the middle adds or gives back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// `il_…`.
    id: String,
    item: String,
    price: String,
    quantity: i64,
    /// In minor units; less than zero gives something back.
    pub(crate) amount: i64,
    start: i64,
    end: i64,
    kind: LineKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LineKind {
    Period,
    /// The rest of a period at a new price.
    Remaining,
    /// The rest of a period that was paid at an old price.
    Unused,
}

impl Line {
    /// An item for a period, at this amount.
    pub(crate) fn new(
        state: &mut State,
        item: &Item,
        amount: i64,
        (start, end): (i64, i64),
        kind: LineKind,
    ) -> Self {
        Self {
            id: state.ids.next("il_"),
            item: item.id.clone(),
            price: item.price.clone(),
            quantity: item.quantity,
            amount,
            start,
            end,
            kind,
        }
    }

    fn describe(&self, state: &State, currency: &str) -> String {
        let price = state.prices.get(&self.price);
        let product = price.and_then(|price| state.products.get(&price.product));
        let name = product.map_or("Subscription", |product| product.name.as_str());
        let quantity = self.quantity;
        match self.kind {
            LineKind::Period => {
                let each = price.map_or(0, |price| price.unit_amount);
                format!("{quantity} × {name} (at {} each)", money::display(each, currency))
            }
            LineKind::Remaining => format!("Remaining time on {quantity} × {name}"),
            LineKind::Unused => format!("Unused time on {quantity} × {name}"),
        }
    }

    pub(super) fn render(&self, state: &State, invoice: &Invoice) -> Value {
        let price = state.prices.get(&self.price);
        json!({
            "id": self.id,
            "object": "line_item",
            "amount": self.amount,
            "currency": invoice.currency,
            "description": self.describe(state, &invoice.currency),
            "discount_amounts": [],
            "discountable": self.kind == LineKind::Period,
            "discounts": [],
            "invoice": invoice.id,
            "livemode": false,
            "metadata": invoice.subscription_metadata,
            "parent": {
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null,
                    "proration": self.kind != LineKind::Period,
                    "proration_details": { "credited_items": null },
                    "subscription": invoice.subscription,
                    "subscription_item": self.item,
                },
                "type": "subscription_item_details",
            },
            "period": { "end": self.end, "start": self.start },
            "pretax_credit_amounts": [],
            "pricing": {
                "price_details": {
                    "price": self.price,
                    "product": price.map(|price| &price.product),
                },
                "type": "price_details",
                "unit_amount_decimal": price.map(|price| price.unit_amount.to_string()),
            },
            "quantity": self.quantity,
            "quantity_decimal": self.quantity.to_string(),
            "subscription": null,
            "subtotal": self.amount,
            "taxes": [],
        })
    }
}
