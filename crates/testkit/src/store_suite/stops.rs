//! Stops of systems, and the name of the installation.

use super::sample::at;
use avowal_engine::ports::store::{Direction, Stop, StopCause, Store};
use std::sync::Arc;

fn stop(system: &str, direction: Direction, cause: StopCause, second: i64) -> Stop {
    Stop {
        system: system.into(),
        direction,
        cause,
        by: Some("Ada".to_owned()),
        note: Some("the CRM is being cleaned".to_owned()),
        since: at(second),
    }
}

/// A stop stands, as it was set first, until it is lifted; another direction or cause is another stop.
pub async fn stops_stand_until_lifted(store: Arc<dyn Store>) {
    let first = stop("crm", Direction::Out, StopCause::Person, 1);
    let incoming = stop("crm", Direction::In, StopCause::Person, 2);
    let identity = Stop { by: None, note: None, ..stop("crm", Direction::Out, StopCause::Identity, 3) };
    let other = stop("app", Direction::Out, StopCause::Person, 4);
    for stop in [&first, &incoming, &identity, &other] {
        assert!(store.set_stop(stop).await.unwrap(), "{stop:?}");
    }
    let again = Stop { note: Some("once more".to_owned()), since: at(9), ..first.clone() };
    assert!(!store.set_stop(&again).await.unwrap());
    assert_eq!(
        store.stops().await.unwrap(),
        [first.clone(), incoming.clone(), identity.clone(), other.clone()]
    );

    assert!(store.lift_stop(&again, "Bob", at(10)).await.unwrap());
    assert!(!store.lift_stop(&first, "Bob", at(11)).await.unwrap());
    assert_eq!(store.stops().await.unwrap(), [incoming.clone(), identity.clone(), other.clone()]);

    assert!(store.set_stop(&again).await.unwrap());
    assert_eq!(store.stops().await.unwrap(), [incoming, identity, other, again]);
}

/// When a stop was lifted last is told by system and cause.
pub async fn the_last_lifting_is_kept(store: Arc<dyn Store>) {
    let (crm, app) = ("crm".into(), "app".into());
    assert_eq!(store.last_lifted(&crm, StopCause::Creates).await.unwrap(), None);
    for second in [1, 5] {
        let stop = stop("crm", Direction::Out, StopCause::Creates, second);
        store.set_stop(&stop).await.unwrap();
        assert!(store.lift_stop(&stop, "Ada", at(second + 1)).await.unwrap());
    }
    assert_eq!(store.last_lifted(&crm, StopCause::Creates).await.unwrap(), Some(at(6)));
    assert_eq!(store.last_lifted(&crm, StopCause::Person).await.unwrap(), None);
    assert_eq!(store.last_lifted(&app, StopCause::Creates).await.unwrap(), None);
}

/// The name of the installation is always the same.
pub async fn installation_stays(store: Arc<dyn Store>) {
    let name = store.installation().await.unwrap();
    assert!(!name.as_str().is_empty());
    assert_eq!(store.installation().await.unwrap(), name);
}
