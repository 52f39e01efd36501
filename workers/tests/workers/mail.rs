//! Mail: what it says and to whom, and that twice is once as far as files and SMTP allow.

use engine::{
    Perform, Task, Trouble,
    interest::{Change, Interests, Wish},
};
use entities::{
    checkout,
    entitlement::{self, Entitlement},
    group_buy::{self, GroupBuy},
    magic_link,
    offer::{self, Offer},
    statement::execute,
};
use migration::testing::TestDatabase;
use uuid::Uuid;
use workers::mail::{MailPerformer, Transport};
use workflows::{
    effect::{Answer, Effect, Mail},
    group_buy::News,
    id::{CheckoutId, GroupBuyId, MagicLinkId, PageId},
};

use crate::{
    sim::task,
    smtp::{Mood, Smtp},
    world::{World, keys},
};

async fn world() -> World {
    World::over(TestDatabase::sqlite().await).await
}

fn into_files(world: &World) -> MailPerformer {
    world.mailer(Transport::Directory(world.mail_directory()))
}

async fn magic_link(world: &World, email: &str) -> (MagicLinkId, Task) {
    let link = MagicLinkId(Uuid::now_v7());
    let row = magic_link::MagicLink {
        id: link.0,
        email: email.to_owned(),
        handle_id: None,
        return_to: None,
        created_at: 0,
        expires_at: i64::MAX,
    };
    magic_link::insert(world.engine.database().write(), &row).await.unwrap();
    (link, task(Effect::SendMail(Mail::MagicLink(link))))
}

/// The mail of an effect, as it was put into its file.
fn read(world: &World, task: &Task) -> String {
    let file = world.mail_directory().join(format!("{}.eml", task.id));
    // Soft line breaks are a matter of the encoding, not of the text.
    std::fs::read_to_string(file).unwrap().replace("=\r\n", "").replace("=3D", "=")
}

#[tokio::test]
async fn a_sign_in_mail_has_a_genuine_link_and_its_code() {
    let world = world().await;
    let (link, task) = magic_link(&world, "ada@example.test").await;
    assert_eq!(into_files(&world).perform(&task).await.unwrap(), Answer::MailSent);
    let mail = read(&world, &task);
    assert!(mail.contains("To: ada@example.test\r\n"), "{mail}");
    assert!(mail.contains("From: Sluice <mail@sluice.test>\r\n"), "{mail}");
    assert!(mail.contains(&format!("Message-ID: <{}@sluice.test>\r\n", task.id)), "{mail}");

    let (_, after) = mail.split_once("https://sluice.test/v2/visitor/auth/verify?token=").unwrap();
    let token = after.split_whitespace().next().unwrap();
    assert_eq!(keys().verify_magic_link_token(token), Some(link));
    let (_, after) = mail.split_once("asked to sign in: ").unwrap();
    let code = after.split_whitespace().next().unwrap();
    assert_eq!(code.len(), 8);
    assert!(keys().is_magic_link_code(link, code));
}

#[tokio::test]
async fn a_receipt_names_what_was_bought_and_for_how_much() {
    let world = world().await;
    let checkout = world.request().await;
    let mails = [Mail::DuplicateRefunded, Mail::InterestRefunded, Mail::Receipt];
    for mail in mails {
        let mail = sent(&world, mail(checkout)).await;
        assert!(mail.contains("How to count cents") && mail.contains("10.00 USD"), "{mail}");
        assert!(mail.contains(&checkout.to_string()), "{mail}");
        assert!(!mail.contains("is open to you"), "nothing was granted: {mail}");
    }
    let db = world.engine.database().write();
    let row = checkout::find_any_handle(db, checkout.0).await.unwrap().unwrap();
    let access = Entitlement {
        page_id: row.page_id,
        visitor_id: row.visitor_id,
        kind: "PAID".to_owned(),
        checkout_id: row.id,
        since: 0,
    };
    entitlement::grant(db, &[access]).await.unwrap();
    assert!(sent(&world, Mail::Receipt(checkout)).await.contains("The page is open to you"));
}

/// What a mail says.
async fn sent(world: &World, mail: Mail) -> String {
    let task = task(Effect::SendMail(mail));
    into_files(world).perform(&task).await.unwrap();
    read(world, &task)
}

#[tokio::test]
async fn what_became_of_a_group_buy_is_told_with_the_way_to_what_it_opens() {
    let world = world().await;
    let visitor = world.visitor().await;
    let (db, group_buy) = (world.engine.database().write(), GroupBuyId(Uuid::now_v7()));
    let row = GroupBuy {
        id: group_buy.0,
        handle_id: world.handle.0,
        slug: "drop".to_owned(),
        title: "The drop".to_owned(),
        description: String::new(),
        target_quantity: 9,
        visitor_limit: 9,
        deadline_at: None,
        status: "DRAFT".to_owned(),
        interest_quantity: 0,
        interest_count: 0,
        last_position: 0,
        published_at: None,
        ended_at: None,
        created_at: 0,
    };
    assert!(group_buy::insert(db, &row).await.unwrap());
    group_buy::publish(db, group_buy.0, 1).await.unwrap();
    let told = |news| sent(&world, Mail::GroupBuy { group_buy, visitor, news });

    let mail = told(News::Lapsed).await;
    assert!(mail.contains("Subject: The drop has not come about"), "{mail}");
    assert!(mail.contains("until its deadline 0 of 9 were wanted"), "{mail}");
    let mail = told(News::Cancelled).await;
    assert!(mail.contains("The drop was called off by its creator"), "{mail}");
    // Who has withdrawn before their turn is not told.
    let mail = Mail::GroupBuy { group_buy, visitor, news: News::Activated };
    let result = into_files(&world).perform(&task(Effect::SendMail(mail))).await;
    assert!(matches!(result, Err(Trouble::Permanent(_))), "{result:?}");
    let interests = Interests::start(world.engine.clone());
    let wish = Wish { group_buy, visitor, change: Change::Want(4) };
    interests.count(wish).await.unwrap().unwrap();
    // Nothing is offered yet; and of what is, only what may be bought is shown.
    let mail = told(News::Activated).await;
    assert!(mail.contains("has reached its target of 9"), "{mail}");
    assert!(
        mail.contains("/v2/public/group-buys/") && !mail.contains("/v2/public/pages/"),
        "{mail}"
    );
    for (slug, status) in [("open", "PUBLISHED"), ("hidden", "DRAFT"), ("public", "PUBLISHED")] {
        let page = PageId(Uuid::now_v7());
        world.add_page(page, slug).await;
        let sql = format!("UPDATE page SET status = '{status}' WHERE slug = '{slug}'");
        execute(db, &sql, vec![]).await.unwrap();
        let offer = Offer {
            id: Uuid::now_v7(),
            handle_id: world.handle.0,
            page_id: page.0,
            title: format!("An offer of {slug}"),
            group_buy_id: Some(group_buy.0),
            require_active_interest: false,
            created_at: 0,
            updated_at: 0,
        };
        offer::insert(db, &offer).await.unwrap();
        assert!(offer::link(db, &offer).await.unwrap());
    }
    // What everybody may read has nothing to be bought.
    let sql = "UPDATE page SET mode = 'PUBLIC' WHERE slug = 'public'";
    execute(db, sql, vec![]).await.unwrap();
    let mail = told(News::Activated).await;
    assert!(
        mail.contains("An offer of open") && mail.contains("You told us that you want 4"),
        "{mail}"
    );
    assert!(!mail.contains("hidden") && !mail.contains("of public"), "{mail}");
}

#[tokio::test]
async fn a_mail_into_a_file_is_written_once_however_often() {
    let world = world().await;
    let (_, task) = magic_link(&world, "ada@example.test").await;
    let mailer = into_files(&world);
    for _ in 0..3 {
        mailer.perform(&task).await.unwrap();
        assert_eq!(mailer.find(&task).await.unwrap(), Some(Answer::MailSent));
    }
    // Two at once, as when a frozen process wakes up after its lease was over.
    for _ in 0..30 {
        let (one, two) = tokio::join!(mailer.perform(&task), mailer.perform(&task));
        assert_eq!((one, two), (Ok(Answer::MailSent), Ok(Answer::MailSent)));
    }
    assert_eq!(world.mails(), [format!("{}.eml", task.id)], "one file, and no drafts");
}

#[tokio::test]
async fn what_can_never_be_mailed_is_permanent() {
    let world = world().await;
    let (_, unmailable) = magic_link(&world, "no address at all").await;
    let gone = task(Effect::SendMail(Mail::MagicLink(MagicLinkId(Uuid::now_v7()))));
    let never = task(Effect::SendMail(Mail::Receipt(CheckoutId(Uuid::now_v7()))));
    for task in [unmailable, gone, never] {
        let result = into_files(&world).perform(&task).await;
        assert!(matches!(result, Err(Trouble::Permanent(_))), "{result:?}");
    }
    assert!(world.mails().is_empty());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_may_be_mended() {
    let world = world().await;
    let (_, task) = magic_link(&world, "ada@example.test").await;
    std::fs::write(world.mail_directory(), "a file where the directory should be").unwrap();
    let result = into_files(&world).perform(&task).await;
    assert!(matches!(result, Err(Trouble::Transient { .. })), "{result:?}");
    std::fs::remove_file(world.mail_directory()).unwrap();
    into_files(&world).perform(&task).await.unwrap();
}

#[tokio::test]
async fn a_mail_that_is_sent_again_has_the_same_message_id() {
    let (world, smtp) = (world().await, Smtp::start().await);
    let (_, task) = magic_link(&world, "ada@example.test").await;
    let mailer = world.mailer(Transport::open(&smtp.address).unwrap());
    smtp.is(Mood::TakesAndHangsUp);
    let result = mailer.perform(&task).await;
    assert!(matches!(result, Err(Trouble::Transient { .. })), "{result:?}");
    smtp.is(Mood::Takes);
    assert_eq!(mailer.perform(&task).await.unwrap(), Answer::MailSent);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2, "SMTP cannot tell whether the first one was taken");
    for mail in mails {
        assert!(mail.contains(&format!("Message-ID: <{}@sluice.test>", task.id)), "{mail}");
        assert!(mail.contains("To: ada@example.test"), "{mail}");
    }
}

#[tokio::test]
async fn what_a_mail_server_says_decides_about_the_next_try() {
    let (world, smtp) = (world().await, Smtp::start().await);
    let (_, task) = magic_link(&world, "ada@example.test").await;
    let mailer = world.mailer(Transport::open(&smtp.address).unwrap());
    for mood in [Mood::HangsUp, Mood::IsBusy, Mood::Refuses] {
        smtp.is(mood);
        let result = mailer.perform(&task).await;
        match (mood, result) {
            (Mood::Refuses, Err(Trouble::Permanent(failure))) => {
                assert_eq!(failure.code, "mail_refused");
                assert!(failure.message.contains("no such mailbox"), "{failure:?}");
            }
            (Mood::HangsUp | Mood::IsBusy, Err(Trouble::Transient { .. })) => {}
            (mood, result) => panic!("{mood:?}: {result:?}"),
        }
    }
    smtp.is(Mood::Takes);
    assert_eq!(mailer.perform(&task).await.unwrap(), Answer::MailSent);
    assert_eq!(smtp.mails().len(), 1);
}

#[tokio::test]
async fn nobody_at_the_mail_servers_address_may_be_there_later() {
    let world = world().await;
    let (_, task) = magic_link(&world, "ada@example.test").await;
    let mailer = world.mailer(Transport::open("smtp://127.0.0.1:9").unwrap());
    let result = mailer.perform(&task).await;
    assert!(matches!(result, Err(Trouble::Transient { .. })), "{result:?}");
}

#[tokio::test]
async fn an_address_for_mail_is_a_directory_or_a_server() {
    for address in ["file:///tmp/mail", "smtp://user:secret@mail.test:587", "smtps://mail.test"] {
        assert!(Transport::open(address).is_ok(), "{address}");
    }
    let Err(error) = Transport::open("http://user:secret@mail.test") else {
        panic!("it was taken")
    };
    assert!(!error.to_string().contains("secret"), "{error}");
}
