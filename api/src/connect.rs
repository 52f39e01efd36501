//! Everything about connected accounts, as one part of the application.

use crate::{
    connect_onboarding::OnboardingRoutes, connect_return::ComeBacks,
    connect_status::ConnectStatuses, dashboard_link::DashboardLinks,
};

/// The routes of connected accounts.
pub type Connect = (OnboardingRoutes, ConnectStatuses, ComeBacks, DashboardLinks);

/// The routes of connected accounts.
pub const ROUTES: Connect = (OnboardingRoutes, ConnectStatuses, ComeBacks, DashboardLinks);
