//! The switch that stops everything: no system is asked, and what is under way is broken off.

use crate::guards::{ROWS, linked, row};
use crate::world::{CUSTOMER, raw};
use async_trait::async_trait;
use avowal_core::data::ids::{EntityName, RemoteId};
use avowal_core::record::intent::Operation;
use avowal_engine::Switched;
use avowal_engine::ports::clock::Clock as _;
use avowal_engine::ports::connector::{
    Capabilities, Change, Connector, ConnectorError, Delivery, Expected, Fields, Finding, Page, Write,
    WriteOutcome,
};
use avowal_engine::ports::store::{ControlStops, Cursor, Direction, Stop, StopCause};
use avowal_testkit::fake::Profile;
use serde_json::json;
use std::future::pending;
use std::sync::Arc;

#[tokio::test]
async fn where_everything_is_stopped_no_system_is_asked_anything() {
    for (name, crm) in Profile::all() {
        let world = linked(crm).await;
        let stops = Direction::ALL.map(|direction| Stop {
            system: Stop::EVERY_SYSTEM.into(),
            direction,
            cause: StopCause::Everything,
            by: Some("Ada".to_owned()),
            note: None,
            since: world.clock.now(),
        });
        for stop in &stops {
            world.store.set_stop(stop).await.unwrap();
        }
        world.add("app", row(ROWS));
        let calls = || ["app", "crm"].map(|system| format!("{:?}", world.system(system).calls()));
        let before = calls();
        for delivery in world.system("crm").take_deliveries() {
            world.engine().receive_delivery(&"crm".into(), &delivery).await;
        }
        for full in [false, true] {
            let report = if full { world.full_sync().await } else { world.sync().await };
            assert!(report.is_held() && report.is_complete(), "{name}: {report:?}");
        }
        assert_eq!(calls(), before, "{name}");
        for stop in &stops {
            world.store.lift_stop(stop, "Ada", world.clock.now()).await.unwrap();
        }
        world.sync().await;
        assert_eq!(world.counts(), [ROWS + 1, ROWS + 1], "{name}");
        world.check_in_sync().await;
    }
}

/// A system that takes a write and does not answer before the clock has gone on.
#[tokio::test]
async fn what_is_under_way_is_broken_off_when_everything_is_stopped() {
    let world = linked(Profile::cas()).await;
    let inner: Arc<dyn Connector> = Arc::new(Silent);
    let switched = Switched::new(inner, world.store.clone(), world.clock.clone());
    let entity = CUSTOMER.into();
    let write = Write {
        key: "k".to_owned(),
        operation: Operation::Update,
        id: Some("1".into()),
        fields: raw(&json!({"name": "Bea"})),
        version: None,
        expected: Expected::anything(),
        lookup: Vec::new(),
    };
    let writes = [write];
    let throw = async {
        let stop = Stop {
            system: Stop::EVERY_SYSTEM.into(),
            direction: Direction::Out,
            cause: StopCause::Everything,
            by: None,
            note: None,
            since: world.clock.now(),
        };
        world.store.set_stop(&stop).await.unwrap();
        world.clock.now()
    };
    let (outcomes, thrown_at) = futures::join!(switched.write(&entity, &writes), throw);
    assert!(matches!(outcomes[0], WriteOutcome::Unknown { .. }), "{outcomes:?}");
    assert!(world.clock.now().millis() - thrown_at.millis() <= 1_000);
    // What comes later is not even begun.
    let outcomes = switched.write(&entity, &writes).await;
    assert!(matches!(outcomes[0], WriteOutcome::Retry { .. }), "{outcomes:?}");
    assert!(
        switched.read(&entity, &["1".into()]).await.unwrap_err().to_string().contains("avowal resume --all")
    );
}

/// A system that never answers.
struct Silent;

#[async_trait]
impl Connector for Silent {
    fn capabilities(&self, _: &EntityName) -> Capabilities {
        Profile::cas().capabilities
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        pending().await
    }

    async fn install(&self) -> Result<Vec<String>, ConnectorError> {
        pending().await
    }

    async fn uninstall(&self) -> Result<Vec<String>, ConnectorError> {
        pending().await
    }

    async fn feed_position(&self, _: &EntityName) -> Result<Cursor, ConnectorError> {
        pending().await
    }

    async fn list(&self, _: &EntityName, _: Option<&Cursor>, _: usize) -> Result<Page, ConnectorError> {
        pending().await
    }

    async fn changes(&self, _: &EntityName, _: &Cursor, _: usize) -> Result<Page, ConnectorError> {
        pending().await
    }

    async fn read(&self, _: &EntityName, _: &[RemoteId]) -> Result<Vec<Change>, ConnectorError> {
        pending().await
    }

    async fn find(&self, _: &EntityName, _: &Fields) -> Result<Vec<Change>, ConnectorError> {
        pending().await
    }

    async fn write(&self, _: &EntityName, _: &[Write]) -> Vec<WriteOutcome> {
        pending().await
    }

    fn decode(&self, _: &Delivery) -> Result<Vec<(EntityName, Change)>, ConnectorError> {
        Ok(Vec::new())
    }
}
